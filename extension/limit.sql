-- Limits: what shared memory knows of running jobs, and whether that is so.

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
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'jobq_flow_check';
COMMENT ON FUNCTION jobq_store.flow_check IS
  'where shared memory and the tables differ about limits; no row while nothing is going on';
