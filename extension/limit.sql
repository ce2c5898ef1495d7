-- Limits: what shared memory knows of what is running, and whether that is so.

CREATE FUNCTION jobq_store.gates(
  OUT queue integer,
  OUT running integer,
  OUT counted boolean
) RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 100
AS 'MODULE_PATHNAME', 'jobq_gates';
COMMENT ON FUNCTION jobq_store.gates IS
  'how many jobs of each queue of this database are running, as shared memory knows it';

CREATE FUNCTION jobq_store.flow_check(
  OUT object text,
  OUT memory bigint,
  OUT rows bigint
) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT q.name, g.running::bigint, n.running
  FROM jobq_store.gates() AS g
  JOIN jobq_store.queue AS q ON q.id = g.queue
  CROSS JOIN LATERAL (
    SELECT count(*) AS running FROM jobq_store.job AS j
    WHERE j.queue = q.id AND j.state = 1 /* running */
  ) AS n
  WHERE g.counted AND g.running <> n.running;
END;
COMMENT ON FUNCTION jobq_store.flow_check IS
  'where shared memory and the tables differ about limits; no row while nothing is going on';
