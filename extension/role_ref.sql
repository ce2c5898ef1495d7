-- The type in which roles are stored.  Like regrole, it is a role's OID, shown as
-- its name; but it accepts no number, and reads a name that no role has as nobody
-- ('-').  So pg_dump writes a role that was dropped as nobody, and a restore
-- turns a role that does not exist there into nobody, not into the role that
-- happens to have its OID.

CREATE TYPE jobq_store.role_ref;

CREATE FUNCTION jobq_store.role_ref_in(cstring)
RETURNS jobq_store.role_ref
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jobq_role_ref_in';
COMMENT ON FUNCTION jobq_store.role_ref_in(cstring) IS 'I/O';

CREATE FUNCTION jobq_store.role_ref_out(jobq_store.role_ref)
RETURNS cstring
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jobq_role_ref_out';
COMMENT ON FUNCTION jobq_store.role_ref_out(jobq_store.role_ref) IS 'I/O';

CREATE FUNCTION jobq_store.role_ref_recv(internal)
RETURNS jobq_store.role_ref
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jobq_role_ref_recv';
COMMENT ON FUNCTION jobq_store.role_ref_recv(internal) IS 'I/O';

CREATE FUNCTION jobq_store.role_ref_send(jobq_store.role_ref)
RETURNS bytea
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jobq_role_ref_send';
COMMENT ON FUNCTION jobq_store.role_ref_send(jobq_store.role_ref) IS 'I/O';

CREATE TYPE jobq_store.role_ref (
  INPUT = jobq_store.role_ref_in,
  OUTPUT = jobq_store.role_ref_out,
  RECEIVE = jobq_store.role_ref_recv,
  SEND = jobq_store.role_ref_send,
  LIKE = pg_catalog.oid
);
COMMENT ON TYPE jobq_store.role_ref IS 'a role, or nobody; dumped by name';

-- operators and index support are those of oid
CREATE CAST (jobq_store.role_ref AS pg_catalog.oid)
  WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (jobq_store.role_ref AS pg_catalog.regrole)
  WITHOUT FUNCTION AS ASSIGNMENT;
CREATE CAST (pg_catalog.regrole AS jobq_store.role_ref)
  WITHOUT FUNCTION AS ASSIGNMENT;

CREATE FUNCTION jobq_store.skip_row()
RETURNS trigger
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'jobq_skip_row';
COMMENT ON FUNCTION jobq_store.skip_row() IS
  'for triggers: the row is not inserted';
