-- test/kills/schema.sql: queues with limits, jobs that tell the server's log when
-- they start and end, and places that show from outside how many run.
--
-- A job's payload has its scope: what its limit counts, such as a queue, or a group of
-- it. A line of the log is
--   witness start SCOPE JOB ATTEMPT HOLDER AT UNTIL
--   witness end SCOPE JOB HOLDER
--   witness over SCOPE JOB
--   witness rate SCOPE JOB STARTED_AT
-- with times in microseconds, UNTIL 0 where the end of a lease is not known before. A
-- holder is a lease (L), a transaction (X) or a process (P) with its number.

CREATE SCHEMA kills;

-- One row for each job of a scope that may run. A transaction takes a place by updating
-- it, and so has it until others see that it is over.
CREATE TABLE kills.place (scope text, n int, xact xid8) WITH (fillfactor = 10);

-- Jobs that were added; what was done, alone: by a procedure, which is killed before
-- its job is completed now and then, and is run again.
CREATE TABLE kills.added (job bigint PRIMARY KEY, scope text, victim text);
CREATE TABLE kills.effect (job bigint, alone boolean);
CREATE INDEX ON kills.effect (job);

CREATE FUNCTION kills.microseconds(at timestamptz) RETURNS bigint LANGUAGE sql AS
  $$SELECT coalesce((extract(epoch FROM at) * 1000000)::bigint, 0)$$;

-- Says so if no place is free. Places are looked at one after the other, and others may
-- change theirs meanwhile.
CREATE FUNCTION kills.take_place(in_scope text, job bigint) RETURNS void
LANGUAGE plpgsql AS $$BEGIN
  PERFORM FROM kills.place WHERE scope = in_scope AND xact = pg_current_xact_id();
  IF FOUND THEN
    RETURN;
  END IF;
  FOR i IN 1 .. 5 LOOP
    UPDATE kills.place SET xact = pg_current_xact_id()
    WHERE scope = in_scope AND n = (SELECT n FROM kills.place WHERE scope = in_scope
      ORDER BY random() FOR UPDATE SKIP LOCKED LIMIT 1);
    IF FOUND THEN
      RETURN;
    END IF;
  END LOOP;
  RAISE LOG 'witness over % %', in_scope, job;
END$$;

-- A job starts that this transaction has claimed.
CREATE FUNCTION kills.begin(j jobq.job, holder text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  scope text := j.payload ->> 'scope';
BEGIN
  PERFORM kills.take_place(scope, j.id);
  RAISE LOG 'witness start % % % % % 0', scope, j.id, j.attempt, holder,
    kills.microseconds(clock_timestamp());
END$$;

CREATE FUNCTION kills.say_end(scope text, job bigint, holder text) RETURNS void
LANGUAGE plpgsql AS $$BEGIN RAISE LOG 'witness end % % %', scope, job, holder; END$$;

CREATE FUNCTION kills.work_as(j jobq.job, holder text) RETURNS void LANGUAGE plpgsql AS $$BEGIN
  PERFORM kills.begin(j, holder);
  PERFORM pg_sleep(0.005 + random() * 0.03);
  INSERT INTO kills.effect VALUES (j.id, holder ~ '^P');
  PERFORM kills.say_end(j.payload ->> 'scope', j.id, holder);
END$$;

-- Handlers.
CREATE FUNCTION kills.work(j jobq.job) RETURNS void LANGUAGE sql AS
  $$SELECT kills.work_as(j, 'X' || pg_current_xact_id())$$;
CREATE PROCEDURE kills.work_alone(j jobq.job) LANGUAGE plpgsql AS
  $$BEGIN PERFORM kills.work_as(j, 'P' || pg_backend_pid()); END$$;

-- take() of a job, which is done at the end of the transaction.
CREATE FUNCTION kills.take(queue text, OUT id bigint, OUT scope text) LANGUAGE plpgsql AS $$
DECLARE
  j jobq.job;
BEGIN
  SELECT * INTO j FROM jobq.take(queue);
  id := coalesce(j.id, 0);
  scope := coalesce(j.payload ->> 'scope', '');
  IF id > 0 THEN
    PERFORM kills.begin(j, 'X' || pg_current_xact_id());
    INSERT INTO kills.effect VALUES (id, false);
  END IF;
END$$;

-- A lease: the claim is committed. Its end is said before the job is completed.
CREATE FUNCTION kills.lent(job bigint, held_by bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  row jobq_store.job;
BEGIN
  SELECT j.* INTO row FROM jobq_store.job AS j
    WHERE j.id = job AND j.state = 1 AND j.lease = held_by;
  IF FOUND THEN
    RAISE LOG 'witness start % % % % % %', row.payload ->> 'scope', job, row.attempt,
      'L' || held_by, kills.microseconds(clock_timestamp()),
      kills.microseconds(row.lease_until);
  END IF;
END$$;
CREATE FUNCTION kills.finish(job bigint, held_by bigint) RETURNS void LANGUAGE plpgsql AS $$BEGIN
  PERFORM kills.say_end(j.payload ->> 'scope', job, 'L' || held_by)
    FROM jobq_store.job AS j WHERE j.id = job;
  INSERT INTO kills.effect VALUES (job, false);
  PERFORM jobq.complete(job, held_by);
EXCEPTION WHEN SQLSTATE 'JQ001' THEN
  NULL;
END$$;

-- Starts under a rate: at the time that the row of a job has that is held by a lease.
CREATE FUNCTION kills.say_start(job bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  row jobq_store.job;
BEGIN
  SELECT j.* INTO row FROM jobq_store.job AS j WHERE j.id = job AND j.state = 1;
  IF FOUND THEN
    RAISE LOG 'witness rate % % %', row.payload ->> 'scope', job,
      kills.microseconds(row.started_at);
  END IF;
END$$;
CREATE FUNCTION kills.start(j jobq.job) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO kills.effect VALUES (j.id, false); END$$;
CREATE PROCEDURE kills.start_alone(j jobq.job) LANGUAGE plpgsql AS $$BEGIN
  PERFORM kills.say_start(j.id);
  INSERT INTO kills.effect VALUES (j.id, true);
END$$;

-- Adds jobs to a queue until it has n of a scope.
CREATE FUNCTION kills.top_up(queue text, scope text, group_key text, n int, victim text)
RETURNS void LANGUAGE sql AS $$
  INSERT INTO kills.added SELECT id, scope, victim
  FROM jobq.enqueue_many(queue, array_fill(jsonb_build_object('scope', scope),
    ARRAY[n - (SELECT least(count(*), n)::int FROM jobq_store.job AS j
      JOIN jobq_store.queue AS q ON q.id = j.queue
      WHERE q.name = top_up.queue AND j.payload ->> 'scope' = top_up.scope)]),
    group_key => group_key) AS id$$;
