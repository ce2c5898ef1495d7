-- Prints the seconds from the commit of :jobs jobs to the end of the last.

\set QUIET on

BEGIN;
SELECT enqueue_jobs(:jobs) AS last, clock_timestamp() AS since \gset
COMMIT;
CALL wait_for_jobs(:last);
SELECT extract(epoch FROM clock_timestamp() - :'since'::timestamptz);
