-- test/stress/schema.sql: tables, queues, and what clients do to them.

CREATE TABLE placed (job bigint, queue text);
CREATE INDEX ON placed (queue, job);
CREATE TABLE effects (job bigint);
CREATE TABLE deleted (job bigint);

-- completed jobs that were sent round again
CREATE TABLE again (job bigint);

-- the holders of leases; "ended" is set by the session that ends the job
CREATE TABLE holding (job bigint, lease bigint, queue text,
  lease_until timestamptz, ended boolean DEFAULT false);
CREATE UNIQUE INDEX holder ON holding (job) WHERE NOT ended;
CREATE INDEX ON holding (queue, job) WHERE NOT ended;
CREATE INDEX ON holding (job) WHERE ended;

-- what the last consumer has got, in its order
CREATE TABLE drained (n serial, queue text, priority int,
  run_at timestamptz, job bigint, attempt int);

-- what is done to a queue in this wave
CREATE TABLE mix (n int PRIMARY KEY, queue text, acts text[],
  priorities int[], lease interval);

CREATE SEQUENCE actions;

CREATE FUNCTION any_of(VARIADIC list anyarray) RETURNS anyelement
LANGUAGE sql AS
$$ SELECT list[1 + floor(random() * cardinality(list))::int] $$;

CREATE FUNCTION milliseconds(most int) RETURNS interval
LANGUAGE sql AS
$$ SELECT floor(random() * (most + 1)) * interval '1 ms' $$;

-- One of the jobs that were placed lately.
CREATE FUNCTION some_job(of text) RETURNS bigint LANGUAGE sql AS $$
  SELECT job FROM placed
   WHERE queue = of AND job >= (SELECT last_value - random() ^ 2 * 500
                                  FROM jobq_store.job_id_seq)
   ORDER BY job LIMIT 1 $$;

-- Somebody has just got a job: nobody else may have it.
CREATE FUNCTION check_free(this bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE holding SET ended = true
   WHERE job = this AND NOT ended AND lease_until <= clock_timestamp();
  IF EXISTS (SELECT FROM holding WHERE job = this AND NOT ended) THEN
    RAISE 'job % has two holders', this;
  END IF;
END $$;

CREATE FUNCTION hold(got jobq.job) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM check_free(got.id);
  INSERT INTO holding
  VALUES (got.id, got.lease, got.queue, got.lease_until);
END $$;

CREATE FUNCTION handle(job jobq.job) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM check_free(job.id);
  INSERT INTO effects VALUES (job.id);
  PERFORM pg_sleep(0.002 * random());
  IF random() < 0.1 THEN RAISE 'bad luck'; END IF;
  IF random() < 0.05 THEN PERFORM jobq.retry_in('10 ms'); END IF;
  IF random() < 0.02 THEN PERFORM jobq.discard(); END IF;
END $$;

SELECT jobq.create_queue(q, max_attempts => 8, backoff => 'fixed',
  backoff_base => '20 ms',
  handler => CASE WHEN q LIKE 'h%' THEN 'handle(jobq.job)' END::regprocedure)
  FROM unnest('{a,b,c,d,h1,h2}'::text[]) AS q;

CREATE FUNCTION produce(act text, m mix) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  p int := any_of(VARIADIC m.priorities);
  ids bigint[];
BEGIN
  CASE act
    WHEN 'enqueue' THEN
      ids := ARRAY[jobq.enqueue(m.queue, priority => p)];
    WHEN 'late' THEN
      ids := ARRAY[jobq.enqueue(m.queue, priority => p,
        delay => milliseconds(100))];
    WHEN 'many' THEN
      ids := ARRAY(SELECT jobq.enqueue_many(m.queue, priority => p,
        payloads => array_fill('{}'::jsonb, ARRAY[any_of(0, 1, 2, 20)])));
    WHEN 'unique' THEN
      ids := ARRAY[jobq.enqueue(m.queue, priority => p,
        delay => milliseconds(10),
        unique_key => 'key ' || floor(6 * random()),
        on_conflict => any_of(text 'keep', 'replace', 'error'),
        unique_for => any_of(NULL, interval '20 ms'))];
  END CASE;
  INSERT INTO placed SELECT unnest(ids), m.queue;
EXCEPTION WHEN unique_violation THEN
  IF act <> 'unique' THEN RAISE; END IF;
END $$;

-- Whether somebody wants one of these jobs cancelled that this transaction has
-- claimed or locked, and must not end any more.
CREATE FUNCTION to_be_cancelled(ids bigint[]) RETURNS boolean LANGUAGE sql AS
$$ SELECT EXISTS (SELECT FROM jobq_store.cancel_request WHERE job_id = ANY (ids)) $$;

-- Completes a job that this transaction has claimed, unless it is to be cancelled.
CREATE FUNCTION complete_own(job bigint, lease bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  reason text;
BEGIN
  INSERT INTO effects VALUES (job);
  PERFORM jobq.complete(job, lease);
EXCEPTION WHEN SQLSTATE 'JQ001' THEN
  GET STACKED DIAGNOSTICS reason = PG_EXCEPTION_DETAIL;
  IF reason !~ 'to be cancelled' THEN RAISE; END IF;
END $$;

CREATE FUNCTION consume(act text, m mix, plain boolean) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  got jobq.job;
  n int := any_of(1, 1, 2, 10);
BEGIN
  CASE act
    WHEN 'take' THEN
      FOR got IN SELECT * FROM jobq.take(m.queue, n) LOOP
        IF NOT plain THEN PERFORM check_free(got.id); END IF;
        INSERT INTO effects VALUES (got.id);
      END LOOP;
    WHEN 'work' THEN
      FOR got IN SELECT * FROM jobq.dequeue(m.queue, n) LOOP
        IF NOT plain THEN PERFORM check_free(got.id); END IF;
        PERFORM complete_own(got.id, got.lease);
      END LOOP;
    WHEN 'dequeue' THEN
      FOR got IN SELECT * FROM jobq.dequeue(m.queue, n, m.lease) LOOP
        PERFORM hold(got);
      END LOOP;
    WHEN 'any' THEN
      FOR got IN SELECT * FROM jobq.dequeue_any(
        ARRAY[m.queue, any_of(text 'a', 'b', 'c', 'd', 'h1')], n, m.lease)
      LOOP
        PERFORM hold(got);
      END LOOP;
    WHEN 'bound' THEN  -- its end leaves no trace in holding
      FOR got IN SELECT * FROM jobq.dequeue(m.queue,
        session_bound => true)
      LOOP
        PERFORM check_free(got.id);
      END LOOP;
  END CASE;
END $$;

-- Something that the holder of a job may do.
CREATE FUNCTION finish(act text, m mix) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  h holding;
  got jobq.job;
  ids bigint[];
BEGIN
  SELECT * INTO h FROM holding
   WHERE NOT ended AND queue = m.queue
     AND job >= (SELECT last_value - random() ^ 2 * 500
                   FROM jobq_store.job_id_seq)
   ORDER BY job LIMIT 1 FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN RETURN; END IF;

  CASE act
    WHEN 'complete' THEN
      INSERT INTO effects VALUES (h.job);
      PERFORM jobq.complete(h.job, h.lease);
    WHEN 'fail' THEN
      PERFORM jobq.fail(h.job, h.lease, 'bad luck',
        retry_in => any_of(NULL, interval '0', '1 ms', '50 ms'),
        retryable => random() < 0.95);
    WHEN 'release' THEN
      PERFORM jobq.release(h.job, h.lease, any_of(interval '0', milliseconds(50)));
    WHEN 'heartbeat' THEN
      UPDATE holding SET lease_until = clock_timestamp() + m.lease
       WHERE job = h.job AND lease = h.lease;
      IF NOT jobq.heartbeat(h.job, h.lease, m.lease) THEN
        RAISE SQLSTATE 'JQ001';
      END IF;
      RETURN;
    WHEN 'next', 'complete_many' THEN
      -- these pass over jobs that are not held, so make sure first
      WITH held AS MATERIALIZED
        (SELECT job FROM holding
          WHERE NOT ended AND lease = h.lease AND random() < 0.7
          ORDER BY job FOR UPDATE SKIP LOCKED)
      SELECT array_agg(job) INTO ids FROM held
       WHERE jobq.heartbeat(job, h.lease, '1 minute');
      IF ids IS NULL THEN RETURN; END IF;
      INSERT INTO effects SELECT unnest(ids);
      UPDATE holding SET ended = true
       WHERE lease = h.lease AND job = ANY (ids);
      IF act = 'complete_many' THEN
        IF jobq.complete_many(ids, h.lease) <> cardinality(ids) THEN
          IF to_be_cancelled(ids) THEN RAISE SQLSTATE 'JQ001'; END IF;
          RAISE 'complete_many() left out some of %', ids;
        END IF;
        RETURN;
      END IF;
      FOR got IN SELECT * FROM jobq.next(m.queue, ids, h.lease,
        any_of(1, 2, 5), m.lease)
      LOOP
        PERFORM hold(got);
      END LOOP;
      IF to_be_cancelled(ids) THEN RAISE SQLSTATE 'JQ001'; END IF;
      RETURN;
  END CASE;
  UPDATE holding SET ended = true WHERE job = h.job AND lease = h.lease;
EXCEPTION WHEN SQLSTATE 'JQ001' THEN NULL;
END $$;

-- A lease that is over is good for nothing.
CREATE FUNCTION fence() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  h holding;
BEGIN
  -- rather of a job that somebody else has now
  SELECT o.* INTO h FROM holding AS o LEFT JOIN holding AS n
      ON n.job = o.job AND NOT n.ended
   WHERE o.ended AND o.job >= (SELECT last_value - random() ^ 2 * 500
                                 FROM jobq_store.job_id_seq)
   ORDER BY n.job IS NULL, o.job LIMIT 1;
  IF NOT FOUND THEN RETURN; END IF;
  CASE any_of(1, 2, 3)
    WHEN 1 THEN PERFORM jobq.complete(h.job, h.lease);
    WHEN 2 THEN PERFORM jobq.fail(h.job, h.lease, 'late');
    WHEN 3 THEN PERFORM jobq.release(h.job, h.lease);
  END CASE;
  RAISE 'lease % of job % is over and works', h.lease, h.job;
EXCEPTION WHEN SQLSTATE 'JQ001' THEN NULL;
END $$;

CREATE FUNCTION finished_as(this bigint) RETURNS smallint LANGUAGE sql AS
$$ SELECT state FROM jobq_store.history WHERE id = this $$;

CREATE FUNCTION manage(act text, m mix) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  this bigint := some_job(m.queue);
  state smallint;
BEGIN
  IF this IS NULL THEN RETURN; END IF;
  CASE act
    WHEN 'pause' THEN
      IF random() < 0.3 THEN
        PERFORM jobq.pause(m.queue);
      ELSE
        PERFORM jobq.resume(m.queue);
      END IF;
    WHEN 'alter' THEN
      PERFORM jobq.alter_queue(m.queue, description => random()::text);
    WHEN 'promote' THEN PERFORM jobq.promote(this);
    WHEN 'reschedule' THEN
      PERFORM jobq.reschedule(this, clock_timestamp() + milliseconds(50));
    WHEN 'priority' THEN
      PERFORM jobq.set_priority(this, any_of(VARIADIC m.priorities));
    WHEN 'payload' THEN
      PERFORM jobq.set_payload(this, to_jsonb(random()));
    WHEN 'cancel' THEN
      -- it may have been asked for only, of the coordinator
      IF jobq.cancel(this) AND finished_as(this) IS NOT NULL THEN
        UPDATE holding SET ended = true WHERE job = this AND NOT ended;
      END IF;
    WHEN 'delete' THEN
      PERFORM pg_advisory_xact_lock(this);
      IF jobq.delete(this) THEN INSERT INTO deleted VALUES (this); END IF;
    WHEN 'retry' THEN
      -- nobody else makes it live again, or removes it, meanwhile
      PERFORM pg_advisory_xact_lock(this);
      state := finished_as(this);
      IF state IS NOT NULL AND jobq.retry(this) IS NOT NULL THEN
        UPDATE holding SET ended = true WHERE job = this AND NOT ended;
        IF state = 3 THEN INSERT INTO again VALUES (this); END IF;
      END IF;
  END CASE;
EXCEPTION WHEN unique_violation THEN
  IF act <> 'retry' THEN RAISE; END IF;
END $$;

-- Does one thing, or some in a subtransaction that may be rolled back.
-- "plain" is for transactions that do not see what others commit: they
-- cannot keep accounts of leases.
CREATE FUNCTION do_something(depth int, plain boolean, prepared boolean)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  m mix;
  what text;
BEGIN
  IF depth < 3 AND random() < 0.2 THEN
    BEGIN
      FOR i IN 1 .. any_of(1, 2, 3) LOOP
        PERFORM do_something(depth + 1, plain, prepared);
      END LOOP;
      IF random() < 0.4 THEN RAISE SQLSTATE 'ROLLB'; END IF;
    EXCEPTION
      WHEN SQLSTATE 'ROLLB' THEN NULL;
      WHEN query_canceled THEN NULL;
    END;
    RETURN;
  END IF;
  PERFORM nextval('actions');
  IF random() < 0.02 THEN PERFORM pg_sleep(0.003 * random()); END IF;

  SELECT * INTO m FROM mix
   WHERE n = (SELECT floor(random() * count(*)) FROM mix);
  what := any_of(VARIADIC m.acts);
  IF plain AND what <> ALL ('{enqueue,late,many,take,work}') THEN
    what := any_of(text 'enqueue', 'take', 'work');
  END IF;
  CASE
    WHEN what IN ('enqueue', 'late', 'many', 'unique') THEN
      PERFORM produce(what, m);
    WHEN what IN ('take', 'work', 'dequeue', 'any', 'bound') THEN
      IF what = 'bound' AND prepared THEN what := 'dequeue'; END IF;
      PERFORM consume(what, m, plain);
    WHEN what IN ('complete', 'complete_many', 'next', 'fail', 'release',
      'heartbeat')
    THEN
      PERFORM finish(what, m);
    WHEN what = 'fence' THEN
      PERFORM fence();
    ELSE
      PERFORM manage(what, m);
  END CASE;
END $$;

CREATE FUNCTION act(seed bigint, plain boolean, prepared boolean)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM setseed(seed / 1e9);
  FOR i IN 1 .. any_of(1, 2, 3, 6) LOOP
    PERFORM do_something(0, plain, prepared);
  END LOOP;
END $$;

CREATE FUNCTION strike(seed bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  kind text;
  victim int;
BEGIN
  PERFORM setseed(seed / 1e9);
  kind := any_of(text 'terminate', 'cancel');
  SELECT pid INTO victim FROM pg_stat_activity
   WHERE application_name = 'victim'
      OR backend_type = 'jobq executor' AND random() < 0.02
   ORDER BY random() LIMIT 1;
  IF kind = 'terminate' THEN
    PERFORM pg_terminate_backend(victim);
  ELSE
    PERFORM pg_cancel_backend(victim);
  END IF;
END $$;

-- The only consumer of a queue, in one of two ways.
CREATE PROCEDURE drain(this text) LANGUAGE plpgsql AS $$
DECLARE
  got jobq.job;
  n int;
BEGIN
  LOOP
    n := 0;
    FOR got IN SELECT * FROM jobq.take(this, 100) WHERE this < 'c'
         UNION ALL SELECT * FROM jobq.dequeue(this, 100) WHERE this >= 'c'
    LOOP
      PERFORM check_free(got.id);
      INSERT INTO drained (queue, priority, run_at, job, attempt)
      VALUES (this, got.priority, got.run_at, got.id, got.attempt);
      INSERT INTO effects VALUES (got.id);
      IF this >= 'c' THEN PERFORM jobq.complete(got.id, got.lease); END IF;
      n := n + 1;
    END LOOP;
    EXIT WHEN n = 0;
    COMMIT;
  END LOOP;
END $$;
