-- What cron expressions mean: cron_next, cron_times, cron_describe.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS jobq;
RESET client_min_messages;
SET datestyle = 'ISO';
SET TimeZone = 'UTC';

-- plain fields
SELECT e.cron, t.next
FROM (VALUES
  ('* * * * *'), ('*/15 * * * *'), ('5 4 * * *'), ('0 9-17/4 * * *'),
  ('0 22-2 * * *'), ('10/20 * * * *'), ('0 0 1,15 * *'), ('0 0 * * MON-fri'),
  ('0 0 * * 7'), ('0 0 * * 5-7'), ('0 0 1 jan *'), ('0 12 ? * ?'),
  ('30 0 0 * * *'), ('*/20 * * * * *'), ('  0   0	* * *  ')
) AS e (cron),
LATERAL (SELECT jobq.cron_next(e.cron, '2024-02-28 23:59:59.999', 'UTC')) AS t (next);

-- day forms; 1 and 15 June 2024 are Saturdays, 30 June is a Sunday
SELECT e.cron,
       (SELECT string_agg(to_char(t.at, 'YYYY-MM-DD Dy'), ', ' ORDER BY t.at)
        FROM jobq.cron_times(e.cron, '2024-05-31 12:00', 3, 'UTC') AS t (at)) AS next
FROM (VALUES
  ('0 0 L * *'), ('0 0 $ * *'), ('0 0 L-2 * *'), ('0 0 LW * *'),
  ('0 0 15W * *'), ('0 0 1W * *'), ('0 0 * * 1#1'), ('0 0 * * 5#5'),
  ('0 0 * * 5L'), ('0 0 * * friL'), ('0 0 1,L * *')
) AS e (cron);

-- day of month and day of week: either, unless one begins with a star
SELECT jobq.cron_times('0 0 13 * 5', '2024-09-01', 5, 'UTC') AS either;
SELECT jobq.cron_times('0 0 */2 * 1', '2024-09-01', 4, 'UTC') AS both;

-- macros
SELECT e.cron, jobq.cron_next(e.cron, '2024-02-28 12:00:01', 'UTC') AS next
FROM (VALUES
  ('@yearly'), ('@annually'), ('@monthly'), ('@weekly'), ('@daily'),
  ('@midnight'), ('@hourly'), ('@every 90s'), ('@every 1h30m')
) AS e (cron);

-- strictly after; far away; never
SELECT jobq.cron_next('0 0 * * *', '2024-01-01 00:00:00', 'UTC') AS strictly,
       jobq.cron_next('0 0 * * *', '2023-12-31 23:59:59.999999', 'UTC') AS fraction,
       jobq.cron_next('0 0 29 2 *', '2096-03-01', 'UTC') AS leap,
       jobq.cron_next('0 0 * * *', '1969-12-31 12:00', 'UTC') AS before_1970;
SELECT jobq.cron_next('0 0 31 2 *') AS impossible,
       jobq.cron_next(NULL) AS no_cron,
       jobq.cron_next('* * * * *', NULL) AS no_time;
SELECT count(*) FROM jobq.cron_times('0 0 31 2 *', now(), 10);
SELECT count(*) FROM jobq.cron_times('* * * * *', now(), 0);
SELECT count(*) FROM jobq.cron_times('* * * * *', now(), 1000);
SELECT count(*) FROM jobq.cron_times('* * * * *', now(), NULL);

-- the clock is put forward in New York: 02:00 to 03:00 is not there
SET TimeZone = 'America/New_York';
SELECT e.cron, array_agg(t.at::text ORDER BY t.at) AS on_march_10
FROM (VALUES
  (1, '30 2 * * *'), (2, '*/30 2 * * *'), (3, '30 * * * *'),
  (4, '0,30 1-3 * * *'), (5, '0 */2 * * *'), (6, '@every 2h'),
  (7, '15 3 * * *')
) AS e (no, cron)
CROSS JOIN LATERAL jobq.cron_times(e.cron, '2024-03-09 23:59:59', 20,
                                   'America/New_York') AS t (at)
WHERE t.at BETWEEN '2024-03-10 01:00' AND '2024-03-10 05:00'
GROUP BY e.no, e.cron ORDER BY e.no;

-- the clock is put back: 01:00 to 02:00 comes twice
SELECT e.cron, array_agg(t.at::text ORDER BY t.at) AS on_november_3
FROM (VALUES
  (1, '30 1 * * *'), (2, '*/30 1 * * *'), (3, '30 * * * *'),
  (4, '0,30 0-2 * * *'), (5, '0 */2 * * *'), (6, '@every 2h'),
  (7, '0 2 * * *')
) AS e (no, cron)
CROSS JOIN LATERAL jobq.cron_times(e.cron, '2024-11-02 23:59:59', 20,
                                   'America/New_York') AS t (at)
WHERE t.at BETWEEN '2024-11-03 00:00' AND '2024-11-03 03:00'
GROUP BY e.no, e.cron ORDER BY e.no;

-- a daily run is daily: every day of a year, one run, whatever the zone does
SELECT z.zone, count(*), count(DISTINCT (t.at AT TIME ZONE z.zone)::date) AS days
FROM (VALUES ('America/New_York'), ('Europe/Dublin'), ('Australia/Lord_Howe'),
             ('America/Havana'), ('Asia/Kolkata')) AS z (zone)
CROSS JOIN LATERAL jobq.cron_times('0 0 * * *', timestamp '2023-12-31 12:00' AT TIME ZONE z.zone,
                                   366, z.zone) AS t (at)
GROUP BY z.zone ORDER BY z.zone;

-- gaps at midnight, of half an hour, of a day
SET TimeZone = 'UTC';
SELECT jobq.cron_times('0 0 * * *', '2018-11-03 12:00', 2, 'America/Sao_Paulo') AS midnight_gap;
SELECT jobq.cron_times('15 2 * * *', '2024-10-04 12:00', 2, 'Australia/Lord_Howe') AS half_hour_gap;
SELECT jobq.cron_times('0 12 * * *', '2011-12-29 12:00', 2, 'Pacific/Apia') AS day_gap;

-- time zones: names only
SELECT jobq.cron_next('0 0 * * *', '2024-07-01', 'europe/paris') AS any_case,
       jobq.cron_next('0 0 * * *', '2024-07-01', 'Etc/GMT+5') AS etc,
       jobq.cron_next('0 0 * * *', '2024-07-01', 'EST5EDT') AS with_digits;
SELECT jobq.cron_next('0 0 * * *', '2024-07-01', '');
SELECT jobq.cron_next('0 0 * * *', '2024-07-01', 'XYZ+3');
SELECT jobq.cron_next('0 0 * * *', '2024-07-01', 'Europe/Atlantis');
SELECT jobq.cron_next('0 0 * * *', '2024-07-01', 'CET-1CEST,M3.5.0,M10.5.0/3');
SELECT jobq.cron_next('0 0 * * *', '2024-07-01', '+02:00');
SELECT jobq.cron_next('0 0 * * *', '2024-07-01', 'PDT');
SELECT jobq.cron_next('0 0 * * *', '2024-07-01', 'right/Europe/Paris');
SELECT jobq.cron_next('0 0 * * *', '2024-07-01', '../UTC');

-- without a zone: the server's, not the session's
SET TimeZone = 'Asia/Tokyo';
SELECT jobq.cron_next('0 0 * * *', '2024-07-01 12:00+00') AT TIME ZONE 'UTC' AS server_zone;
SET TimeZone = 'UTC';

-- malformed: DETAIL names the field
DO $$
DECLARE
  bad text;
  detail text;
BEGIN
  FOREACH bad IN ARRAY ARRAY[
    '', '* * * *', '* * * * * * * *', '* * * * * * 1969', '* * * * * * 2031-2030', '60 * * * *', '* 24 * * *', '* * 0 * *',
    '* * 32 * *', '* * * 13 *', '* * * * 8', '*/0 * * * *', '*/60 * * * *',
    '1,,2 * * * *', '1- * * * *', 'a * * * *', '* * * foo *', '* * * * monday',
    '? * * * *', '4294967296 * * * *', '256 * * * *', '-1 * * * *',
    '1.5 * * * *', '* * * * 1#6', '* * 32W * *', '0 0 L-31 * *', '@reboot',
    '@daily x', '@every', '@every 0s', '@every 1', '@every -5m',
    '* * * * * trailing'
  ] LOOP
    BEGIN
      PERFORM jobq.cron_next(bad);
      RAISE WARNING '"%" was accepted', bad;
    EXCEPTION WHEN invalid_parameter_value THEN
      GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
      RAISE INFO '"%": %', bad, detail;
    END;
  END LOOP;
END $$;
-- the position counts characters of the text as it was given
CREATE FUNCTION pg_temp.from_position(bad text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  detail text;
BEGIN
  PERFORM jobq.cron_next(bad);
  RETURN NULL;
EXCEPTION WHEN invalid_parameter_value THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
  RETURN substr(bad, substring(detail FROM '(?i)position (\d+): ')::integer);
END $$;
SELECT n, pg_temp.from_position(bad)
FROM (VALUES
  (1, E' \t 0 25 * * *'), (2, '* * * * é,x'), (3, 'éé 0 * * *'),
  (4, ' * * * * 1,é8'), (5, '* * * * * * € 25'), (6, '  @every 5 é'),
  (7, '  '), (8, ' @every '), (9, '5 4 é')
) AS v (n, bad) ORDER BY n;
-- too long: the character that has byte 256 (of 258)
SELECT octet_length(pg_temp.from_position(repeat('€', 84) || 'ééé')) BETWEEN 3 AND 4 AS position;
SELECT jobq.cron_next('  0 25 * * *');
SELECT jobq.cron_next('61 * * * *');
SELECT jobq.cron_next(repeat('1,', 200) || ' * * * *');
SELECT jobq.cron_next('* * * * *', 'infinity');
SELECT jobq.cron_times('* * * * *', now(), -1);

-- in English
SELECT e.cron, jobq.cron_describe(e.cron)
FROM (VALUES
  ('* * * * *'), ('*/15 9-17 * * mon-fri'), ('0 0 1 * *'), ('30 2 * * *'),
  ('0 0 L * *'), ('0 0 * * 1#1'), ('0 0 13 * 5'), ('0 0 */2 * 1'),
  ('*/10 * * * * *'), ('@yearly'), ('@every 1h30m')
) AS e (cron);
SELECT jobq.cron_describe('every day');
SELECT jobq.cron_describe(NULL);

-- years
SELECT jobq.cron_next('0 30 12 1 1 * 2030-2032', '2030-06-01', 'UTC'),
  jobq.cron_next('0 30 12 1 1 * 2030-2032', '2033-01-01', 'UTC') AS over;
SELECT * FROM jobq.cron_times('0 0 0 1 1 * 2030,2040/7', '2024-01-01', 3, 'UTC');
SELECT jobq.cron_describe('0 0 9 * * mon 2030-2032,2040');
SELECT jobq.schedule('over', '0 0 0 1 1 * 2020', 'SELECT 1');
-- both days
SELECT jobq.cron_next('0 0 +13 * 5', '2024-09-14', 'UTC') = jobq.cron_next('0 0 13 * +5', '2024-09-14', 'UTC') AS same;
-- no time zones
SELECT jobq.cron_next('CRON_TZ=Europe/Berlin 0 9 * * *');
SELECT jobq.schedule('zone', '0 9 * * * America/New_York', 'SELECT 1');
SELECT jobq.cron_describe('TZ=UTC @daily');
