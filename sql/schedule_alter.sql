-- alter_schedule() and reset_schedule().

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS jobq;
RESET client_min_messages;

SET timezone = 'UTC';
CREATE ROLE jobq_alter_a;
CREATE ROLE jobq_alter_b;
SELECT jobq.grant_usage('jobq_alter_a', may_create => true),
  jobq.grant_usage('jobq_alter_b', may_create => true);
CREATE FUNCTION positive(payload jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE
AS $$ SELECT (payload ->> 'n')::int > 0 $$;
SELECT jobq.create_queue('alt_q'), jobq.create_queue('alt_other'),
  jobq.create_queue('alt_checked', payload_check => 'positive(jsonb)');
SELECT jobq.schedule('alt', '0 0 1 1 *', queue => 'alt_q', timezone => 'UTC') IS NOT NULL AS made;
CREATE VIEW alt AS SELECT cron, timezone, queue, command, payload, missed, overlap,
  jitter, starts_at, ends_at, max_runs, enabled, priority, max_attempts, timeout, tags
FROM jobq.schedules WHERE name = 'alt';
CREATE VIEW alt_next AS
  SELECT next_run = jobq.cron_next(cron, timezone => timezone) AS next_run_is_that_of_cron
  FROM jobq.schedules WHERE name = 'alt';

-- each option
SELECT jobq.alter_schedule('alt', cron => '30 12 * * *');
SELECT * FROM alt_next;
SELECT jobq.alter_schedule('alt', timezone => 'Europe/Berlin');
SELECT * FROM alt_next;
SELECT jobq.alter_schedule('alt', missed => 'all', overlap => 'cancel', jitter => '1 h',
  starts_at => '2001-01-01', ends_at => '2999-01-01', max_runs => 7, priority => -3,
  max_attempts => 4, timeout => '5 min', tags => '{a,b}', payload => '{"n": 1}');
\x on
SELECT * FROM alt;
SELECT jobq.alter_schedule('alt', queue => 'alt_other');
SELECT jobq.alter_schedule('alt', enabled => false);
SELECT queue, enabled, next_run, payload, priority FROM jobq.schedules WHERE name = 'alt';
SELECT jobq.alter_schedule('alt', enabled => true, command => 'SELECT 1');
SELECT * FROM alt;
\x off
SELECT * FROM alt_next;
SELECT jobq.alter_schedule('alt', queue => 'alt_q');
SELECT queue, command FROM alt;

-- what is NULL stays, and next_run too unless it has to change
SELECT next_run, anchor FROM jobq_store.schedule WHERE name = 'alt' \gset before_
SELECT jobq.alter_schedule('alt');
SELECT jobq.alter_schedule('alt', priority => 1, cron => '30 12 * * *');
SELECT next_run = :'before_next_run' AS same_run, anchor = :'before_anchor' AS same_anchor
FROM jobq_store.schedule WHERE name = 'alt';
SELECT jobq.alter_schedule('alt', max_runs => 1, ends_at => '2001-01-02');
SELECT next_run FROM jobq.schedules WHERE name = 'alt';

-- back to the defaults
SELECT jobq.reset_schedule('alt', 'timezone', 'missed', 'overlap', 'jitter', 'starts_at',
  'ends_at', 'max_runs', 'priority', 'max_attempts', 'timeout', 'tags', 'payload');
\x on
SELECT * FROM alt;
\x off
SELECT * FROM alt_next;

-- the checks of schedule(), and nothing changes
\set VERBOSITY terse
SELECT jobq.alter_schedule('alt', cron => '61 * * * *');
SELECT jobq.alter_schedule('alt', cron => '0 0 30 2 *');
SELECT jobq.alter_schedule('alt', timezone => 'Nowhere/Town');
SELECT jobq.alter_schedule('alt', missed => 'some');
SELECT jobq.alter_schedule('alt', overlap => 'Skip');
SELECT jobq.alter_schedule('alt', jitter => '24 h');
SELECT jobq.alter_schedule('alt', jitter => '-1 s');
SELECT jobq.alter_schedule('alt', starts_at => '2030-01-01', ends_at => '2029-01-01');
SELECT jobq.alter_schedule('alt', ends_at => 'infinity');
SELECT jobq.alter_schedule('alt', max_runs => 0);
SELECT jobq.alter_schedule('alt', priority => 40000);
SELECT jobq.alter_schedule('alt', max_attempts => 0);
SELECT jobq.alter_schedule('alt', timeout => '0');
SELECT jobq.alter_schedule('alt', tags => '{{a}}');
SELECT jobq.alter_schedule('alt', command => 'SELECT 1', queue => 'alt_q');
SELECT jobq.alter_schedule('alt', command => '');
SELECT jobq.alter_schedule('alt', queue => 'alt_none');
\echo :SQLSTATE
SELECT jobq.alter_schedule('alt', queue => 'alt_checked');
\echo :SQLSTATE
SELECT jobq.alter_schedule('alt', queue => 'alt_checked', payload => '{"n": 1}');
SELECT jobq.alter_schedule('alt', payload => '{"n": 0}');
\echo :SQLSTATE
SELECT jobq.reset_schedule('alt', 'payload');
SELECT jobq.alter_schedule('alt', queue => 'alt_q', payload => '{}');
-- jitter must fit a new expression
SELECT jobq.alter_schedule('alt', jitter => '10 min');
SELECT jobq.alter_schedule('alt', cron => '*/5 * * * *');
SELECT jobq.alter_schedule('alt', cron => '*/5 * * * *', jitter => '1 min');
SELECT jobq.reset_schedule('alt', 'cron');
SELECT jobq.reset_schedule('alt', 'command');
\set VERBOSITY default

-- whose it is, and who may
ALTER ROLE jobq_alter_b NOINHERIT;
GRANT jobq_alter_a TO jobq_alter_b;
SET ROLE jobq_alter_a;
SELECT jobq.schedule('alt_a', '@daily', 'SELECT current_user') IS NOT NULL AS made;
SELECT jobq.alter_schedule('alt', priority => 1);
\echo :SQLSTATE
SELECT jobq.alter_schedule('alt_a', queue => 'alt_q');
\echo :SQLSTATE
RESET ROLE;
SELECT jobq.grant_queue('alt_q', 'jobq_alter_a', 'enqueue');
SELECT jobq.alter_schedule('alt_a', queue => 'alt_other');
\echo :SQLSTATE
SELECT jobq.alter_schedule('alt_a', command => 'SELECT 2');
SELECT owner, command FROM jobq.schedules WHERE name = 'alt_a';
SET ROLE jobq_alter_b;
SELECT jobq.alter_schedule('alt_a', priority => 1);
\echo :SQLSTATE
RESET ROLE;
-- since PostgreSQL 16 this is decided by the grant
REVOKE jobq_alter_a FROM jobq_alter_b;
ALTER ROLE jobq_alter_b INHERIT;
GRANT jobq_alter_a TO jobq_alter_b;
SET ROLE jobq_alter_b;
SELECT jobq.alter_schedule('alt_a', priority => 1, command => 'SELECT 3');
SELECT owner, command, priority FROM jobq.schedules WHERE name = 'alt_a';
RESET ROLE;

-- a check of the payload may do something to the schedule
CREATE FUNCTION alt_meddles(p jsonb) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN
  IF coalesce(p ->> 'do', 'alter') = 'alter' THEN
    PERFORM jobq.alter_schedule('alt_m', priority => 7);
  ELSE
    PERFORM jobq.unschedule('alt_m');
  END IF;
  RETURN true; END$$;
SELECT jobq.create_queue('alt_meddled', payload_check => 'alt_meddles(jsonb)');
SELECT jobq.schedule('alt_m', '@daily', queue => 'alt_other') IS NOT NULL AS made;
SELECT jobq.alter_schedule('alt_m', queue => 'alt_meddled', payload => '{"do": "alter"}', missed => 'skip');
SELECT queue, payload, missed, priority FROM jobq.schedules WHERE name = 'alt_m';
SELECT jobq.alter_schedule('alt_m', priority => 1);
SELECT jobq.reset_schedule('alt_m', 'payload', 'missed');
SELECT queue, payload, missed, priority FROM jobq.schedules WHERE name = 'alt_m';
SELECT jobq.alter_schedule('alt_m', payload => '{"do": "drop"}');
\echo :SQLSTATE
SELECT count(*) FROM jobq.schedules WHERE name = 'alt_m';
SELECT jobq.unschedule('alt_m'), jobq.drop_queue('alt_meddled');
DROP FUNCTION alt_meddles;

SELECT jobq.unschedule('alt'), jobq.unschedule('alt_a');
DROP VIEW alt, alt_next;
SELECT jobq.drop_queue('alt_q', force => true), jobq.drop_queue('alt_other'),
  jobq.drop_queue('alt_checked');
DROP FUNCTION positive;
SELECT jobq.drop_queue('run:jobq_alter_a', force => true);
SELECT jobq.revoke_usage('jobq_alter_a'), jobq.revoke_usage('jobq_alter_b');
DROP ROLE jobq_alter_a, jobq_alter_b;
