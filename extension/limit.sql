-- Limits: what shared memory knows of running jobs, and whether it is right.

CREATE FUNCTION jobq_store.gates(
  OUT queue integer,
  OUT running integer,
  OUT counted boolean
) RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 100
AS 'MODULE_PATHNAME', 'jobq_gates';
COMMENT ON FUNCTION jobq_store.gates IS
  'how many jobs of each queue of this database are running, according to shared memory';

CREATE FUNCTION jobq_store.flow_check(
  OUT object text,
  OUT memory bigint,
  OUT rows bigint
) RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'jobq_flow_check';
COMMENT ON FUNCTION jobq_store.flow_check IS
  'where shared memory and the tables disagree about limits; no rows when idle';
