-- What an operator should know.

CREATE FUNCTION jobq_store.health_findings(
  OUT severity text,
  OUT topic text,
  OUT object text,
  OUT message text,
  OUT hint text,
  OUT since timestamptz
) RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10
AS 'MODULE_PATHNAME', 'jobq_health_findings';
COMMENT ON FUNCTION jobq_store.health_findings IS
  'findings that the current role may see, worst first';

CREATE VIEW jobq.health WITH (security_barrier) AS
SELECT f.severity, f.topic, f.object, f.message, f.hint, f.since
FROM jobq_store.health_findings() AS f;
COMMENT ON VIEW jobq.health IS
  'problems that an operator should know about, worst first; no rows if all is well';
