-- Starting and stopping the workers of a database.

CREATE FUNCTION jobq.start()
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_start';
COMMENT ON FUNCTION jobq.start IS
  'starts this database''s workers and takes over the queues of a copied or restored database';

CREATE FUNCTION jobq.stop()
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_stop';
COMMENT ON FUNCTION jobq.stop IS
  'stops this database''s workers once the running jobs are done, until start()';

CREATE FUNCTION jobq.version()
RETURNS text
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jobq_version';
COMMENT ON FUNCTION jobq.version IS 'the version of the library';
