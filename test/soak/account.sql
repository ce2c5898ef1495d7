-- test/soak/account.sql: the account that is made after each fault.
-- The states of jobs in the tables: 1 is running, 3 completed, 4 dead.

-- All that is known of a job.
CREATE FUNCTION soak.evidence(this bigint) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT jsonb_strip_nulls(jsonb_build_object(
    'placed', (SELECT to_jsonb(p) FROM soak.placed AS p WHERE p.job = this),
    'job', (SELECT to_jsonb(j) || jsonb_build_object('ctid', j.ctid,
        'xmin', j.xmin, 'xmax', j.xmax)
      FROM jobq_store.job AS j WHERE j.id = this),
    'history', (SELECT jsonb_agg(to_jsonb(h)) FROM jobq_store.history AS h
      WHERE h.id = this),
    'effects', (SELECT jsonb_agg(to_jsonb(e) || jsonb_build_object('xmin',
        e.xmin)) FROM soak.effects AS e WHERE e.job = this),
    'attempts', (SELECT jsonb_agg(to_jsonb(a) - 'context')
      FROM jobq_store.attempt AS a WHERE a.job_id = this)))
$$;

-- Jobs that were placed and not settled yet.
CREATE VIEW soak.account AS
SELECT p.job, p.queue, p.doomed, j.id IS NOT NULL AS live,
       coalesce(e.effects, 0) AS effects, h.ends
  FROM soak.placed AS p
  LEFT JOIN jobq_store.job AS j ON j.id = p.job
  LEFT JOIN (SELECT job, count(*) AS effects FROM soak.effects GROUP BY job)
    AS e ON e.job = p.job
  LEFT JOIN (SELECT id, array_agg(state) AS ends FROM jobq_store.history
    WHERE id >= (SELECT min(job) FROM soak.placed) GROUP BY id) AS h
    ON h.id = p.job;

-- When jobs of queues with limits ran, those that run now included.  A job that ended
-- with its process has no end that is known.  The jobs of a batch have one start.
CREATE VIEW soak.runs AS
SELECT q.name AS queue, r.group_key, r.started_at, max(r.finished_at) AS finished_at,
       min(r.job) AS job
  FROM (SELECT queue, group_key, id AS job, started_at, finished_at
          FROM jobq_store.history
        UNION ALL
        SELECT a.queue, j.group_key, a.job_id, a.started_at, a.finished_at
          FROM jobq_store.attempt AS a
          JOIN (SELECT id, group_key FROM jobq_store.job
                UNION ALL
                SELECT id, group_key FROM jobq_store.history) AS j ON j.id = a.job_id
         WHERE a.outcome IN ('failed', 'lease lost')
        UNION ALL
        SELECT queue, group_key, id, started_at, 'infinity' FROM jobq_store.job
         WHERE state = 1) AS r
  JOIN jobq_store.queue AS q ON q.id = r.queue
 WHERE q.name IN ('narrow', 'joint', 'lent', 'rated', 'bounded', 'fair', 'serial',
                  'lined')
   AND r.started_at IS NOT NULL
 GROUP BY q.name, r.group_key, r.started_at;

-- max_running of queues, of the limit that two share, and of each group
CREATE TABLE soak.most_running AS
SELECT * FROM (VALUES ('narrow', 'narrow', 2), ('bounded', 'bounded', 1),
  ('joint', 'both', 3), ('lent', 'both', 3), ('fair', 'fair', 2),
  ('serial', 'serial', 1), ('lined', 'lined', 1)) AS m(queue, scope, most);

-- Runs at whose start more were running than may.
CREATE FUNCTION soak.too_many() RETURNS TABLE (job bigint) LANGUAGE sql STABLE AS $$
SELECT job FROM
 (SELECT e.job, m.most, sum(e.n) OVER (PARTITION BY m.scope, e.group_key
           ORDER BY e.at, e.n ROWS UNBOUNDED PRECEDING) AS running
    FROM (SELECT queue, group_key, job, started_at AS at, 1 AS n FROM soak.runs
          UNION ALL
          SELECT queue, group_key, job, finished_at, -1 FROM soak.runs) AS e
    JOIN soak.most_running AS m ON m.queue = e.queue) AS r
 WHERE running > most $$;

-- Jobs of serial groups (x) before which another one (y) began that comes after them:
-- their producer had gone on, and they were due, when the one before y was running.
CREATE FUNCTION soak.overtaken() RETURNS TABLE (job bigint) LANGUAGE sql STABLE AS $$
SELECT x.job
  FROM (SELECT *, lag(seen) OVER w AS seen_before, lag(at) OVER w AS before
          FROM soak.starts
        WINDOW w AS (PARTITION BY queue, group_key ORDER BY at)) AS y
  JOIN soak.starts AS x ON x.queue = y.queue AND x.group_key = y.group_key
  JOIN soak.gone_on AS p ON p.placed_by = x.placed_by
 WHERE x.at > y.at
   AND (x.priority, x.run_at, x.job) < (y.priority, y.run_at, y.job)
   AND x.run_at <= y.before AND pg_visible_in_snapshot(p.xid, y.seen_before) $$;

-- Starts of the queue with 200 in a second, and of the one whose groups have 20 each,
-- that were more than that.
CREATE FUNCTION soak.too_fast() RETURNS TABLE (job bigint) LANGUAGE sql STABLE AS $$
SELECT job FROM
 (SELECT job, most, count(*) OVER (PARTITION BY queue, grp ORDER BY started_at
           RANGE BETWEEN CURRENT ROW AND interval '999999 us' FOLLOWING) AS starts
    FROM (SELECT job, queue, started_at, NULL AS grp, 200 AS most
            FROM soak.runs WHERE queue = 'rated'
          UNION ALL
          SELECT job, queue, started_at, group_key, 20
            FROM soak.runs WHERE queue = 'fair' AND group_key IS NOT NULL) AS s) AS r
 WHERE starts > most $$;

-- Whether a queue has more jobs than it may: with two producers, max_queued and what
-- one of them adds in a transaction.
CREATE FUNCTION soak.overfull() RETURNS TABLE (job bigint) LANGUAGE sql STABLE AS $$
SELECT max(j.id) FROM jobq_store.job AS j
 WHERE j.queue = (SELECT id FROM jobq_store.queue WHERE name = 'bounded')
HAVING count(*) > 300 + 250 $$;

-- One statement, and so one snapshot, taken a moment after now().
CREATE FUNCTION soak.audit() RETURNS void LANGUAGE sql
SET enable_nestloop = off
AS $$
WITH account AS MATERIALIZED (SELECT * FROM soak.account),
found (law, job) AS (
  SELECT 'lost: neither there nor ended', job FROM account
   WHERE NOT live AND ends IS NULL AND effects = 0
  UNION ALL
  SELECT 'lost: completed without effect', job FROM account
   WHERE ends = '{3}' AND effects = 0
  UNION ALL
  SELECT 'lost: there is an effect, and no end', job FROM account
   WHERE NOT live AND ends IS NULL AND effects > 0
     AND queue NOT IN ('taken', 'batch')
  UNION ALL
  SELECT 'lost: ended in the wrong way', job FROM account
   WHERE ends NOT IN ('{3}', '{4}') OR (ends = '{4}') <> doomed
  UNION ALL
  SELECT 'lost: out of reach of its lease', id FROM jobq_store.job
   WHERE state = 1 AND lease_until < now() - interval '15 s'
  UNION ALL
  SELECT 'lost: has a longer lease than anybody wanted', id
    FROM jobq_store.job
   WHERE state = 1 AND lease_until < 'infinity'
     AND lease_until > now() + interval '10 s'
  UNION ALL
  SELECT 'twice: done', job FROM account WHERE effects > 1
  UNION ALL
  SELECT 'twice: done, and there again', job FROM account
   WHERE live AND effects > 0 AND queue <> 'committing'
  UNION ALL
  SELECT 'twice: ended, and there again', job FROM account
   WHERE live AND ends IS NOT NULL
  UNION ALL
  SELECT 'twice: ended', job FROM account WHERE cardinality(ends) > 1
  UNION ALL
  SELECT 'twice: done, of a job that is through or was never placed', e.job
    FROM soak.effects AS e
   WHERE NOT EXISTS (SELECT FROM soak.placed AS p WHERE p.job = e.job)
  UNION ALL
  SELECT 'twice: there, though through or never placed', j.id
    FROM jobq_store.job AS j
   WHERE j.queue IN (SELECT q.id FROM jobq_store.queue AS q
                      WHERE q.name IN (SELECT name FROM soak.queue))
     AND NOT EXISTS (SELECT FROM soak.placed AS p WHERE p.job = j.id)
  UNION ALL
  SELECT 'twice: held', job_id FROM jobq_store.attempt
   WHERE message LIKE '%two holders%'
  UNION ALL
  SELECT 'other: failed for no reason of its own', job_id
    FROM jobq_store.attempt
   WHERE outcome = 'failed' AND message <> 'bad luck'
     AND message NOT LIKE '%two holders%'
  UNION ALL
  SELECT 'twice: a run of a schedule', max(job) FROM soak.slots
   GROUP BY schedule, slot HAVING count(*) > 1
  UNION ALL
  SELECT 'other: more run than may', job FROM soak.too_many()
  UNION ALL
  SELECT 'other: overtaken in its group', job FROM soak.overtaken()
  UNION ALL
  SELECT 'other: more start than may', job FROM soak.too_fast()
  UNION ALL
  SELECT 'other: more are queued than may', job FROM soak.overfull()
  UNION ALL
  SELECT 'lost: a run of a schedule', s.last_job
    FROM jobq_store.schedule AS s
   WHERE s.runs <> (SELECT count(*) FROM soak.slots WHERE schedule = s.name)
     + (SELECT count(*) FROM jobq_store.job AS j
         WHERE j.headers ->> 'schedule' = s.name)
), noted AS (
  INSERT INTO soak.broken (law, job, evidence)
  SELECT DISTINCT ON (law, job) law, job, soak.evidence(job) FROM found
  ON CONFLICT DO NOTHING
), through AS (
  DELETE FROM soak.placed AS p USING account AS a
   WHERE p.job = a.job AND NOT live AND effects = 1
     AND NOT EXISTS (SELECT FROM found AS f WHERE f.job = a.job)
  RETURNING p.job, p.queue
), forgotten AS (
  DELETE FROM soak.effects AS e USING through AS t WHERE e.job = t.job
), old AS (
  DELETE FROM soak.starts WHERE at < now() - interval '30 s'
), old_too AS (
  DELETE FROM soak.gone_on WHERE at < now() - interval '60 s'
)
INSERT INTO soak.settled
SELECT queue, count(*) FROM through GROUP BY queue
$$;
