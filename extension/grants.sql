-- Nothing for PUBLIC: grant_usage() gives roles what they need.

REVOKE ALL ON SCHEMA jobq, jobq_store FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA jobq FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA jobq_store FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA jobq_store FROM PUBLIC;
REVOKE ALL ON ALL ROUTINES IN SCHEMA jobq FROM PUBLIC;
REVOKE ALL ON ALL ROUTINES IN SCHEMA jobq_store FROM PUBLIC;
REVOKE ALL ON TYPE jobq.job, jobq_store.role_ref FROM PUBLIC;

-- Nor for roles to which the default privileges of the one who installs jobq give some.
SELECT jobq.revoke_usage(granted.grantee)
FROM (
  SELECT nspacl FROM pg_namespace WHERE nspname IN ('jobq', 'jobq_store')
  UNION ALL
  SELECT relacl FROM pg_class
  WHERE relnamespace IN ('jobq'::regnamespace, 'jobq_store'::regnamespace)
  UNION ALL
  SELECT proacl FROM pg_proc
  WHERE pronamespace IN ('jobq'::regnamespace, 'jobq_store'::regnamespace)
  UNION ALL
  SELECT typacl FROM pg_type
  WHERE typnamespace IN ('jobq'::regnamespace, 'jobq_store'::regnamespace)
) AS object (acl), aclexplode(object.acl) AS granted
WHERE granted.grantee <> granted.grantor
GROUP BY granted.grantee;
