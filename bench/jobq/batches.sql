-- Gives the queue of executors.sql a handler of batches.

\set QUIET on

CREATE OR REPLACE FUNCTION work_together(payloads jsonb[]) RETURNS void
LANGUAGE plpgsql
AS 'BEGIN END';

SELECT jobq.alter_queue('work', 'work_together(jsonb[])', batch_size => 50)
\g /dev/null
