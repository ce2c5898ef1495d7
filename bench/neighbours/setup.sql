-- :queues and :schedules of one role, and 20 queues of another
DO $$ BEGIN
  IF to_regrole('bench_many') IS NULL THEN
    CREATE ROLE bench_many LOGIN;
    CREATE ROLE bench_few LOGIN;
  END IF;
END $$;
SELECT jobq.grant_usage(r, may_create => true) FROM unnest('{bench_many,bench_few}'::regrole[]) AS r;
SET ROLE bench_many;
SELECT count(jobq.create_queue('many_' || i)) FROM generate_series(1, :queues) AS i;
SELECT count(jobq.schedule('many_' || i, '@yearly', queue => 'many_' || i)) FROM generate_series(1, :schedules) AS i;
SET ROLE bench_few;
SELECT count(jobq.create_queue('few_' || i, keep_completed => '0')) FROM generate_series(0, 19) AS i;
RESET ROLE;
