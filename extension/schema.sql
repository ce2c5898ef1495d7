-- Schemas: jobq is the public surface, jobq_store holds the tables.  The
-- control file says schema = pg_catalog, so that both are created here, which
-- fails if the names are taken, and are dropped with the extension.

CREATE SCHEMA jobq;
COMMENT ON SCHEMA jobq IS 'jobq: job queue, cron scheduler and background workers';

CREATE SCHEMA jobq_store;
COMMENT ON SCHEMA jobq_store IS 'tables of jobq; only the extension''s owner has privileges';

-- Fails, with a hint, unless the library is in shared_preload_libraries.
CREATE FUNCTION jobq_store.require_preload()
RETURNS void
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'jobq_require_preload';
COMMENT ON FUNCTION jobq_store.require_preload() IS
  'raises an error unless jobq is in shared_preload_libraries';

SELECT jobq_store.require_preload();
