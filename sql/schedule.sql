-- Schedules: what becomes of the arguments, every error once, privileges.
-- When schedules fire is tested in t/040_schedules.pl.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS jobq;
RESET client_min_messages;
SET datestyle = 'ISO';
SET TimeZone = 'UTC';

CREATE ROLE regress_jobq_sched_a;
CREATE ROLE regress_jobq_sched_b;
CREATE ROLE regress_jobq_sched_c;
GRANT regress_jobq_sched_a TO regress_jobq_sched_b;
SELECT jobq.grant_usage(r, true)
FROM unnest('{regress_jobq_sched_a,regress_jobq_sched_b,regress_jobq_sched_c}'::regrole[]) AS r;
SELECT jobq.create_queue('sched');

-- a schedule has its defaults, and fires at the times of its expression
SELECT jobq.schedule('yearly', '0 0 1 1 *', queue => 'sched') AS yearly \gset
SELECT name, owner = current_user::regrole AS mine, enabled, runs, cron, timezone, missed, overlap, payload,
       command, jitter, starts_at, ends_at, max_runs, priority, max_attempts,
       timeout, tags, last_run, last_job, disabled_reason,
       next_run = jobq.cron_next(cron, timezone => timezone) AS in_time
FROM jobq_store.schedule WHERE id = :yearly \gx

-- and with options of its own; the time zone's name as the database has it
SELECT jobq.schedule('own', '0 0 1 1 *', queue => 'sched', payload => '{"n": 1}',
         timezone => 'america/new_york', missed => 'all', overlap => 'queue',
         jitter => '10 min', starts_at => '2030-02-01', ends_at => '2040-01-01',
         max_runs => 7, priority => -3, max_attempts => 2, timeout => '5 min',
         tags => '{x,y}') AS own \gset
SELECT cron, timezone, missed, overlap, payload, jitter, starts_at, ends_at,
       max_runs, priority, max_attempts, timeout, tags, next_run
FROM jobq_store.schedule WHERE id = :own \gx

-- a command goes to the queue of its role
SELECT jobq.schedule('command', '@yearly', 'SELECT 1') > 0 AS made;
SELECT s.command, q.is_run, q.owner = s.owner AS own_queue
FROM jobq_store.schedule AS s JOIN jobq_store.queue AS q ON q.id = s.queue
WHERE s.name = 'command';

-- the same again changes nothing; what decides when it fires sets it anew
UPDATE jobq_store.schedule SET next_run = '2199-01-01', runs = 3, last_job = 99
WHERE id = :yearly;
SELECT jobq.schedule('yearly', '0 0 1 1 *', queue => 'sched', payload => '[]') = :yearly AS same;
SELECT payload, next_run, runs, last_job FROM jobq_store.schedule WHERE id = :yearly;
SELECT jobq.schedule('yearly', '0 0 1 1 *', queue => 'sched', timezone => 'Asia/Tokyo') = :yearly AS same;
SELECT next_run = jobq.cron_next(cron, timezone => 'Asia/Tokyo') AS anew, runs
FROM jobq_store.schedule WHERE id = :yearly;

-- bounds: the first run at or after starts_at, none after ends_at
SELECT jobq.schedule('bounds', '0 12 * * *', queue => 'sched', starts_at => '2100-06-01 12:00') > 0 AS made;
SELECT next_run FROM jobq_store.schedule WHERE name = 'bounds';
SELECT jobq.schedule('bounds', '0 12 * * *', queue => 'sched', starts_at => '2100-06-01 12:00:00.5') > 0 AS made;
SELECT next_run FROM jobq_store.schedule WHERE name = 'bounds';
SELECT jobq.schedule('bounds', '0 12 * * *', queue => 'sched', starts_at => '2100-06-01 12:00', ends_at => '2100-06-01 12:00') > 0 AS made;
SELECT next_run FROM jobq_store.schedule WHERE name = 'bounds';
SELECT jobq.schedule('bounds', '0 12 * * *', queue => 'sched', ends_at => '2001-01-01') > 0 AS made;
SELECT enabled, next_run FROM jobq_store.schedule WHERE name = 'bounds';
SELECT jobq.schedule('bounds', '@every 36h', queue => 'sched', starts_at => '2100-01-01 05:00') > 0 AS made;
SELECT next_run, anchor FROM jobq_store.schedule WHERE name = 'bounds';
SELECT jobq.schedule('bounds', '@every 36h', queue => 'sched', starts_at => '2100-01-01 05:00', payload => '1') > 0 AS made;
SELECT next_run, anchor FROM jobq_store.schedule WHERE name = 'bounds';

-- disabled and enabled
SELECT jobq.enable_schedule('yearly', false) AS changed;
SELECT jobq.enable_schedule('yearly', false) AS changed;
SELECT enabled, next_run FROM jobq_store.schedule WHERE id = :yearly;
SELECT jobq.enable_schedule('yearly') AS changed;
SELECT enabled, next_run = jobq.cron_next(cron, timezone => 'Asia/Tokyo') AS in_time
FROM jobq_store.schedule WHERE id = :yearly;
SELECT jobq.schedule('off', '@yearly', queue => 'sched', enabled => false) > 0 AS made;
SELECT enabled, next_run FROM jobq_store.schedule WHERE name = 'off';
SELECT jobq.enable_schedule('nothing') AS unknown;

-- options that are set apart stay when the schedule is replaced
SELECT keep_runs, catch_up_window FROM jobq.schedules WHERE name = 'yearly';
SELECT jobq.alter_schedule('yearly', keep_runs => 'errors');
SELECT jobq.alter_schedule('yearly', catch_up_window => '0');
SELECT jobq.alter_schedule('yearly');
SELECT jobq.schedule('yearly', '0 0 2 1 *', queue => 'sched') = :yearly AS same;
SELECT cron, keep_runs, catch_up_window FROM jobq.schedules WHERE name = 'yearly';
SELECT jobq.reset_schedule('yearly', 'catch_up_window');
SELECT keep_runs, catch_up_window FROM jobq.schedules WHERE name = 'yearly';
SELECT jobq.alter_schedule('yearly', catch_up_window => '2 months', keep_runs => 'all');
SELECT keep_runs, catch_up_window FROM jobq.schedules WHERE name = 'yearly';
SELECT jobq.alter_schedule('yearly', keep_runs => 'errors');
SELECT jobq.reset_schedule('yearly', 'catch_up_window', 'keep_runs');
SELECT keep_runs, catch_up_window FROM jobq.schedules WHERE name = 'yearly';
SELECT jobq.unschedule('yearly'), jobq.schedule('yearly', '0 0 1 1 *', queue => 'sched') > 0 AS made;
SELECT id AS yearly FROM jobq_store.schedule WHERE name = 'yearly' \gset
SELECT jobq.alter_schedule('yearly', keep_runs => 'none');
SELECT jobq.alter_schedule('yearly', keep_runs => 'Errors');
SELECT jobq.alter_schedule('yearly', catch_up_window => '-1 us');
SELECT jobq.alter_schedule('yealry', keep_runs => 'all');
SELECT jobq.alter_schedule(NULL);
SELECT jobq.reset_schedule('yealry', 'keep_runs');
SELECT jobq.reset_schedule('yearly', 'cron');
SELECT jobq.reset_schedule('yearly', NULL);
SELECT keep_runs, catch_up_window FROM jobq.schedules WHERE name = 'yearly';

-- exhausted: enabled, but without a next run
UPDATE jobq_store.schedule SET runs = 7 WHERE id = :own;
SELECT jobq.enable_schedule('own', false), jobq.enable_schedule('own', true);
SELECT enabled, next_run FROM jobq_store.schedule WHERE id = :own;

-- now, once
SELECT jobq.run_schedule('own') AS job \gset
SELECT queue, priority, max_attempts, tags, payload, headers - 'scheduled_at' AS headers,
       (headers ->> 'scheduled_at')::timestamptz BETWEEN run_at - interval '1 min' AND run_at AS now
FROM jobq.jobs WHERE id = :job;
SELECT runs, last_run, last_job = :job AS last_job, next_run
FROM jobq_store.schedule WHERE id = :own;
SELECT jobq.run_schedule('off') > 0 AS disabled_runs_too;
SELECT jobq.run_schedule('comand');
SELECT jobq.run_schedule('nothing like any');

-- again, for a time that has passed
SELECT jobq.schedule('daily', '30 6 * * *', queue => 'sched', timezone => 'Europe/Berlin') > 0 AS made;
SELECT jobq.backfill('daily', '2024-03-30 05:30', '2024-04-01 04:30') AS runs;
SELECT headers FROM jobq.jobs WHERE headers ->> 'schedule' = 'daily' ORDER BY id;
SELECT jobq.backfill('daily', '2024-04-01', '2024-03-01');
SELECT jobq.backfill('daily', '2024-04-01', '2999-01-01');
SELECT jobq.backfill('daily', '1900-01-01', '2024-01-01');
SELECT jobq.backfill('nothing', '2024-04-01', '2024-04-02');
SELECT jobq.schedule('every', '@every 6h', queue => 'sched', starts_at => '2100-01-01 01:00') > 0 AS made;
SELECT jobq.backfill('every', '2024-01-01 00:00', '2024-01-02 00:00') AS runs;
SELECT headers ->> 'scheduled_at' AS at FROM jobq.jobs WHERE headers ->> 'schedule' = 'every' ORDER BY id;

-- what is refused
SELECT jobq.schedule('bad', '* * * * *');
SELECT jobq.schedule('bad', '* * * * *', 'SELECT 1', 'sched');
\set VERBOSITY sqlstate
SELECT jobq.schedule('bad', '* * * * *', 'SELEC 1');
SELECT jobq.schedule('bad', '* * * * *', 'COMMIT');
\set VERBOSITY default
SELECT jobq.schedule(NULL, '* * * * *', queue => 'sched');
SELECT jobq.schedule('', '* * * * *', queue => 'sched');
SELECT jobq.schedule(repeat('x', 64), '* * * * *', queue => 'sched');
SELECT jobq.schedule(E'a\nb', '* * * * *', queue => 'sched');
SELECT jobq.schedule('bad', NULL, queue => 'sched');
SELECT jobq.schedule('bad', '* * * *', queue => 'sched');
SELECT jobq.schedule('bad', '0 0 31 2 *', queue => 'sched');
SELECT jobq.schedule('bad', '@reboot', queue => 'sched');
SELECT jobq.schedule('bad', '* * * * *', queue => 'shced');
SELECT jobq.schedule('bad', '* * * * *', queue => 'sched', timezone => '');
SELECT jobq.schedule('bad', '* * * * *', queue => 'sched', timezone => 'XYZ+3');
SELECT jobq.schedule('bad', '* * * * *', queue => 'sched', missed => 'twice');
SELECT jobq.schedule('bad', '* * * * *', queue => 'sched', overlap => 'no');
SELECT jobq.schedule('bad', '* * * * *', queue => 'sched', jitter => '-1 s');
SELECT jobq.schedule('bad', '*/5 * * * *', queue => 'sched', jitter => '5 min');
SELECT jobq.schedule('bad', '* * * * *', queue => 'sched', starts_at => 'infinity');
SELECT jobq.schedule('bad', '* * * * *', queue => 'sched', starts_at => '2024-01-02', ends_at => '2024-01-01');
SELECT jobq.schedule('bad', '* * * * *', queue => 'sched', max_runs => 0);
SELECT jobq.schedule('bad', '* * * * *', queue => 'sched', priority => 40000);
SELECT jobq.schedule('bad', '* * * * *', queue => 'sched', max_attempts => 0);
SELECT jobq.schedule('bad', '* * * * *', queue => 'sched', timeout => '0');
SELECT jobq.schedule('bad', '* * * * *', queue => 'sched', tags => '{a,NULL}');
\set VERBOSITY sqlstate
SELECT jobq.schedule('bad', '* * * * *', queue => (SELECT name FROM jobq_store.queue WHERE is_run AND owner = current_user::regrole));
\set VERBOSITY default
SELECT jobq.create_queue('small', payload_max_bytes => 10);
SELECT jobq.schedule('bad', '* * * * *', queue => 'small', payload => '"0123456789"');
SELECT count(*) FROM jobq_store.schedule WHERE name IN ('bad', '');

-- who may
SET ROLE regress_jobq_sched_a;
SELECT jobq.schedule('of_a', '@yearly', queue => 'sched');
RESET ROLE;
SELECT jobq.grant_queue('sched', 'regress_jobq_sched_a', 'enqueue');
SET ROLE regress_jobq_sched_a;
SELECT jobq.schedule('of_a', '@yearly', queue => 'sched') > 0 AS made;
SELECT jobq.schedule('own', '@yearly', queue => 'sched');
SELECT jobq.unschedule('own');
SELECT jobq.enable_schedule('own', false);
SELECT jobq.alter_schedule('own', keep_runs => 'errors');
SELECT jobq.reset_schedule('own', 'keep_runs');
SELECT jobq.run_schedule('own');
SELECT jobq.run_schedule('onw');
SET ROLE regress_jobq_sched_c;
SELECT jobq.schedule('of_a', '@yearly', 'SELECT 1');
SELECT jobq.unschedule('of_a');
-- a member of the owner's role may, and becomes the owner
SET ROLE regress_jobq_sched_b;
SELECT jobq.enable_schedule('of_a', false) AS changed;
SELECT jobq.alter_schedule('of_a', keep_runs => 'errors');
SELECT jobq.schedule('of_a', '@yearly', 'SELECT 1') > 0 AS made;
RESET ROLE;
SELECT owner, command, keep_runs FROM jobq_store.schedule WHERE name = 'of_a';
-- so may an administrator
SELECT jobq.alter_schedule('of_a', catch_up_window => '1 h');
SELECT jobq.unschedule('of_a') AS removed;
SELECT jobq.unschedule('of_a') AS removed;
-- a schedule whose owner has lost the privilege does not run
SET ROLE regress_jobq_sched_a;
SELECT jobq.schedule('of_a', '@yearly', queue => 'sched') > 0 AS made;
RESET ROLE;
SELECT jobq.revoke_queue('sched', 'regress_jobq_sched_a', 'enqueue');
SELECT jobq.run_schedule('of_a');

-- part of the transaction
BEGIN;
SELECT jobq.unschedule('off') AS removed;
SAVEPOINT s;
SELECT jobq.schedule('off', '@monthly', queue => 'sched') > 0 AS made;
ROLLBACK TO s;
ROLLBACK;
SELECT cron FROM jobq_store.schedule WHERE name = 'off';
BEGIN READ ONLY;
SELECT jobq.unschedule('off');
ROLLBACK;

-- a queue's schedules end with it
SELECT jobq.drop_queue('small');
SELECT jobq.drop_queue('sched', force => true);
SELECT name, enabled, next_run, disabled_reason FROM jobq_store.schedule
WHERE command IS NULL ORDER BY name;
SELECT jobq.run_schedule('daily');

SELECT count(jobq.unschedule(name)) FROM jobq_store.schedule;
SELECT count(*) FROM jobq_store.schedule;
SELECT jobq.revoke_usage(r)
FROM unnest('{regress_jobq_sched_a,regress_jobq_sched_b,regress_jobq_sched_c}'::regrole[]) AS r;
SELECT count(jobq.drop_queue(name, true)) AS run_queues FROM jobq_store.queue
WHERE is_run AND owner::text LIKE 'regress_jobq_sched%';
DROP ROLE regress_jobq_sched_a, regress_jobq_sched_b, regress_jobq_sched_c;
