-- test/soak/schema.sql: tables, queues, handlers, and what clients call.

CREATE SCHEMA soak;
-- most: how many unfinished jobs it has before producers pause; ngroups: of its jobs
CREATE TABLE soak.queue (name text PRIMARY KEY, executed boolean, most int,
  ngroups int DEFAULT 0);
CREATE TABLE soak.placed (job bigint PRIMARY KEY, queue text,
  doomed boolean);
CREATE TABLE soak.effects (job bigint, queue text,
  at timestamptz DEFAULT clock_timestamp());
CREATE INDEX ON soak.effects (job);
CREATE TABLE soak.slots (schedule text, slot timestamptz, job bigint,
  at timestamptz DEFAULT clock_timestamp());

-- who has a job of queue batch
CREATE TABLE soak.holding (job bigint PRIMARY KEY, lease bigint,
  lease_until timestamptz);
CREATE INDEX ON soak.holding (lease);

-- Starts of jobs of serial groups: where a job came among the others, the transaction
-- that placed it, and which others were committed when it was running.
CREATE TABLE soak.starts (queue text, group_key text, job bigint, priority int,
  run_at timestamptz, placed_by xid8, seen pg_snapshot,
  at timestamptz DEFAULT clock_timestamp());

-- transactions that placed jobs, and the next ones of the same producers: a snapshot
-- may show a job before anybody has been told of it
CREATE TABLE soak.gone_on (placed_by xid8, xid xid8 DEFAULT pg_current_xact_id(),
  at timestamptz DEFAULT clock_timestamp());

-- what audit() has found, and has forgotten about
CREATE TABLE soak.broken (law text, job bigint, evidence jsonb,
  at timestamptz DEFAULT clock_timestamp(), told boolean DEFAULT false,
  PRIMARY KEY (law, job));
CREATE TABLE soak.settled (queue text, jobs bigint);

CREATE FUNCTION soak.any_of(VARIADIC list anyarray) RETURNS anyelement
LANGUAGE sql AS
$$ SELECT list[1 + floor(random() * cardinality(list))::int] $$;

CREATE FUNCTION soak.has_room(name text, most int) RETURNS boolean
LANGUAGE sql AS $$
  SELECT count(*) < most FROM
    (SELECT FROM jobq_store.job AS j
      WHERE j.queue = (SELECT q.id FROM jobq_store.queue AS q
                        WHERE q.name = has_room.name)
      LIMIT most) AS t $$;

-- Groups for some jobs of a queue.
CREATE FUNCTION soak.groups(this text, n int) RETURNS text[] LANGUAGE sql AS $$
  SELECT array_agg(CASE WHEN ngroups > 0 THEN 'g' || floor(ngroups * random()) END)
    FROM soak.queue, generate_series(1, n) WHERE name = this $$;

-- Places some jobs in a queue.
CREATE FUNCTION soak.place(this text, what text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  doomed boolean := this = 'failing' AND what <> 'unique'
    AND random() < 0.05;
  load jsonb := jsonb_build_object('token', random(), 'doomed', doomed,
    'placed_by', pg_current_xact_id()::text);
  groups text[] := soak.groups(this, 50);
  prio int := soak.any_of(0, 0, -5, 5);
  attempts int := CASE WHEN doomed THEN 3 END;
  ids bigint[];
BEGIN
  CASE what
    WHEN 'one' THEN
      ids := ARRAY[jobq.enqueue(this, load, priority => prio,
        group_key => groups[1], max_attempts => attempts)];
    WHEN 'late' THEN
      ids := ARRAY[jobq.enqueue(this, load, priority => prio,
        group_key => groups[1], max_attempts => attempts,
        delay => random() * interval '2 s')];
    WHEN 'many' THEN
      ids := ARRAY(SELECT jobq.enqueue_many(this,
        array_fill(load, ARRAY[50]), priority => prio,
        group_keys => groups, max_attempts => attempts));
    WHEN 'unique' THEN
      ids := ARRAY[jobq.enqueue(this, load, priority => prio,
        delay => random() * interval '100 ms',
        group_key => groups[1],
        unique_key => 'key ' || floor(6 * random()),
        on_conflict => soak.any_of(text 'keep', 'replace', 'error'))];
      -- not if it is one that was there, and has stayed as it was
      ids := ARRAY(SELECT id FROM jobq_store.job
        WHERE id = ids[1] AND payload = load);
  END CASE;
  INSERT INTO soak.placed SELECT unnest(ids), this, doomed
  ON CONFLICT DO NOTHING;  -- it has replaced one that was there
EXCEPTION
  WHEN unique_violation THEN
    IF what <> 'unique' THEN RAISE; END IF;
  WHEN SQLSTATE 'JQ002' THEN
    IF this <> 'bounded' THEN RAISE; END IF;
END $$;

-- Places jobs in one of the queues that have room; false if none has.
CREATE FUNCTION soak.produce(most int) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
  this text;
  most_of_this int;
BEGIN
  FOR this, most_of_this IN
    SELECT q.name, q.most FROM soak.queue AS q ORDER BY random()
  LOOP
    CONTINUE WHEN NOT soak.has_room(this, least(most, most_of_this));
    BEGIN
      FOR i IN 1 .. soak.any_of(1, 2, 5) LOOP
        PERFORM soak.place(this,
          soak.any_of(text 'one', 'late', 'many', 'many', 'unique'));
      END LOOP;
      IF random() < 0.05 THEN RAISE SQLSTATE 'ROLLB'; END IF;
    EXCEPTION WHEN SQLSTATE 'ROLLB' THEN NULL;
    END;
    RETURN true;
  END LOOP;
  RETURN false;
END $$;

CREATE FUNCTION soak.handle(job jobq.job) RETURNS void LANGUAGE sql AS
$$ INSERT INTO soak.effects VALUES (job.id, job.queue) $$;

-- The lock is held until the job's transaction has ended.
CREATE FUNCTION soak.handle_or_fail(job jobq.job) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  IF NOT pg_try_advisory_xact_lock(job.id) THEN
    RAISE 'job % has two holders', job.id;
  END IF;
  INSERT INTO soak.effects VALUES (job.id, job.queue);
  IF (job.payload ->> 'doomed')::boolean OR random() < 0.5 THEN
    RAISE 'bad luck';
  END IF;
END $$;

-- The effect of a doomed job is that it is buried.
CREATE FUNCTION soak.bury(job jobq.job) RETURNS void LANGUAGE sql AS $$
  INSERT INTO soak.effects
  VALUES ((job.payload ->> 'job_id')::bigint, job.queue) $$;

CREATE PROCEDURE soak.handle_in_steps(job jobq.job) LANGUAGE plpgsql AS $$
BEGIN
  -- it may have come so far before
  INSERT INTO soak.effects SELECT job.id, job.queue
   WHERE NOT EXISTS (SELECT FROM soak.effects AS e WHERE e.job = $1.id);
  COMMIT;
  PERFORM pg_sleep(0.002 * random());
END $$;

-- Takes some time, so that as many run at once as may.
CREATE FUNCTION soak.handle_slowly(job jobq.job) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO soak.effects VALUES (job.id, job.queue);
  PERFORM pg_sleep(0.002 * random());
  IF random() < 0.05 THEN RAISE 'bad luck'; END IF;
END $$;

CREATE FUNCTION soak.note_start(job jobq.job) RETURNS void LANGUAGE sql AS $$
  INSERT INTO soak.starts VALUES (job.queue, job.group_key, job.id, job.priority,
    job.run_at, (job.payload ->> 'placed_by')::xid8, pg_current_snapshot()) $$;

-- A job of a serial group.
CREATE FUNCTION soak.handle_in_order(job jobq.job) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM soak.note_start(job);
  PERFORM soak.handle_slowly(job);
END $$;

-- Now and then one of the jobs fails, or all.
CREATE FUNCTION soak.handle_batch(jobs jobq.job[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  failed bigint := CASE WHEN random() < 0.2 THEN jobs[1].id END;
BEGIN
  INSERT INTO soak.effects SELECT j.id, j.queue FROM unnest(jobs) AS j
   WHERE j.id IS DISTINCT FROM failed;
  IF failed IS NOT NULL THEN
    PERFORM jobq.fail_job(failed, 'bad luck');
  END IF;
  IF random() < 0.05 THEN RAISE 'bad luck'; END IF;
END $$;

CREATE FUNCTION soak.tick(job jobq.job) RETURNS void LANGUAGE sql AS $$
  INSERT INTO soak.slots
  VALUES (job.headers ->> 'schedule',
    (job.headers ->> 'scheduled_at')::timestamptz, job.id) $$;

CREATE FUNCTION soak.finish(job bigint, lease bigint, queue text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO soak.effects VALUES (job, queue);
  PERFORM jobq.complete(job, lease);
EXCEPTION WHEN SQLSTATE 'JQ001' THEN NULL;
END $$;

CREATE FUNCTION soak.give_up(job bigint, lease bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  IF random() < 0.5 THEN
    PERFORM jobq.fail(job, lease, 'bad luck',
      retry_in => soak.any_of(NULL, interval '0', '50 ms'));
  ELSE
    PERFORM jobq.release(job, lease,
      delay => soak.any_of(interval '0', '50 ms'));
  END IF;
EXCEPTION WHEN SQLSTATE 'JQ001' THEN NULL;
END $$;

-- Claims jobs and notes who has them; returns the lease, 0: none.
CREATE FUNCTION soak.hold(queue text, n int) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  got jobq.job;
BEGIN
  FOR got IN SELECT * FROM jobq.dequeue(queue, n) LOOP
    IF EXISTS (SELECT FROM soak.holding AS h
      WHERE h.job = got.id AND h.lease_until > clock_timestamp())
    THEN
      RAISE 'job % has two holders', got.id;
    END IF;
    INSERT INTO soak.holding VALUES (got.id, got.lease, got.lease_until)
    ON CONFLICT ON CONSTRAINT holding_pkey DO UPDATE
    SET lease = excluded.lease, lease_until = excluded.lease_until;
  END LOOP;
  RETURN coalesce(got.lease, 0);
END $$;

-- Ends all jobs of a lease, or none.
CREATE FUNCTION soak.finish_held(this bigint, queue text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  ids bigint[];
BEGIN
  WITH ended AS
    (DELETE FROM soak.holding WHERE lease = this RETURNING job)
  SELECT coalesce(array_agg(job), '{}') INTO ids FROM ended;
  INSERT INTO soak.effects SELECT unnest(ids), queue;
  IF jobq.complete_many(ids, this) <> cardinality(ids) THEN
    RAISE SQLSTATE 'JQ001';
  END IF;
EXCEPTION WHEN SQLSTATE 'JQ001' THEN NULL;
END $$;

-- Claims a job of a serial group; NULL: none.
CREATE FUNCTION soak.begin(queue text) RETURNS jobq.job
LANGUAGE plpgsql AS $$
DECLARE
  got jobq.job;
BEGIN
  SELECT * INTO got FROM jobq.dequeue(queue);
  IF NOT FOUND THEN RETURN NULL; END IF;
  PERFORM soak.note_start(got);
  RETURN got;
END $$;

-- Which of these jobs next() is to complete: all, or none if one of them
-- is lost.  The heartbeat has them locked until then.
CREATE FUNCTION soak.ready_to_end(ids bigint[], lease bigint, queue text)
RETURNS bigint[] LANGUAGE plpgsql AS $$
BEGIN
  PERFORM jobq.heartbeat(id, lease, '1 minute') FROM unnest(ids) AS id;
  INSERT INTO soak.effects SELECT unnest(ids), queue;
  RETURN ids;
EXCEPTION WHEN SQLSTATE 'JQ001' THEN RETURN '{}';
END $$;

INSERT INTO soak.queue
SELECT name, true
FROM unnest('{plain,failing,committing,narrow,joint,rated,bounded,fair,serial}'::text[])
  AS name
UNION ALL
SELECT name, false
FROM unnest('{single,batch,chained,taken,bound,told,lent,lined}'::text[]) AS name;
UPDATE soak.queue SET most = 100 WHERE name IN ('rated', 'lined');
UPDATE soak.queue SET ngroups = 5 WHERE name IN ('fair', 'serial', 'lined');

SELECT jobq.create_queue(name, max_attempts => 1000, lease => '2 s',
  backoff => 'fixed', backoff_base => '20 ms',
  keep_completed => '10 s', keep_dead => '10 s')
FROM unnest('{buried,ticks}' || (SELECT array_agg(name) FROM soak.queue))
  AS name;
SELECT jobq.alter_queue('plain', 'soak.handle(jobq.job)');
SELECT jobq.alter_queue('failing', 'soak.handle_or_fail(jobq.job)',
  on_dead => 'buried');
SELECT jobq.alter_queue('buried', 'soak.bury(jobq.job)');
SELECT jobq.alter_queue('committing', 'soak.handle_in_steps(jobq.job)');
SELECT jobq.alter_queue('ticks', 'soak.tick(jobq.job)');
SELECT jobq.alter_queue(name, keep_completed => '0')
FROM unnest('{taken,batch}'::text[]) AS name;
SELECT jobq.alter_queue('bound', session_bound => true);

-- queues with limits, which audit() knows: soak.most_running, soak.too_fast()
SELECT jobq.create_limit('both', max_running => 3);
SELECT jobq.alter_queue('narrow', 'soak.handle_slowly(jobq.job)',
  max_running => 2, lifo => true);
SELECT jobq.alter_queue('joint', 'soak.handle_slowly(jobq.job)',
  shared_limit => 'both');
SELECT jobq.alter_queue('lent', shared_limit => 'both');
SELECT jobq.alter_queue('rated', 'soak.handle(jobq.job)', rate_limit => 200);
SELECT jobq.alter_queue('bounded', 'soak.handle_batch(jobq.job[])',
  max_running => 1, max_queued => 300, batch_size => 10, batch_wait => '20 ms');
SELECT jobq.alter_queue('fair', 'soak.handle_slowly(jobq.job)',
  max_running_per_group => 2, group_rate_limit => 20);
SELECT jobq.alter_queue('serial', 'soak.handle_in_order(jobq.job)',
  max_running_per_group => 1);
SELECT jobq.alter_queue('lined', max_running_per_group => 1);

SELECT jobq.schedule('once', '* * * * * *', queue => 'ticks',
  overlap => 'allow', max_attempts => 1000);
SELECT jobq.schedule('all', '* * * * * *', queue => 'ticks',
  missed => 'all', overlap => 'queue', max_attempts => 1000);
SELECT jobq.schedule('command', '* * * * * *',
  'SELECT soak.tick(jobq.current_job())', max_attempts => 1000);
