SELECT to_char(at, 'HH24:MI:SS.MS') AS fired FROM tick ORDER BY at;
SELECT name, cron, runs, next_run FROM jobq.schedules;
SELECT jobq.unschedule('tick');
