-- Producing jobs.

CREATE FUNCTION jobq.enqueue(
  queue text,
  payload jsonb DEFAULT '{}',
  delay interval DEFAULT NULL,
  run_at timestamptz DEFAULT NULL,
  priority integer DEFAULT NULL,
  unique_key text DEFAULT NULL,
  on_conflict text DEFAULT 'keep',
  unique_for interval DEFAULT NULL,
  group_key text DEFAULT NULL,
  max_attempts integer DEFAULT NULL,
  timeout interval DEFAULT NULL,
  ttl interval DEFAULT NULL,
  tags text[] DEFAULT NULL,
  headers jsonb DEFAULT NULL
) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_enqueue';
COMMENT ON FUNCTION jobq.enqueue IS
  'adds a job to a queue as part of the current transaction; returns its id';

CREATE FUNCTION jobq.enqueue_many(
  queue text,
  payloads jsonb[],
  delay interval DEFAULT NULL,
  run_at timestamptz DEFAULT NULL,
  priority integer DEFAULT NULL,
  unique_key text DEFAULT NULL,
  on_conflict text DEFAULT 'keep',
  unique_for interval DEFAULT NULL,
  group_key text DEFAULT NULL,
  max_attempts integer DEFAULT NULL,
  timeout interval DEFAULT NULL,
  ttl interval DEFAULT NULL,
  tags text[] DEFAULT NULL,
  headers jsonb DEFAULT NULL,
  unique_keys text[] DEFAULT NULL,
  group_keys text[] DEFAULT NULL
) RETURNS SETOF bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_enqueue_many';
COMMENT ON FUNCTION jobq.enqueue_many IS
  'adds a job for each payload; returns the ids in the order of the payloads';

CREATE FUNCTION jobq.run(
  command text,
  params jsonb DEFAULT NULL,
  delay interval DEFAULT NULL,
  run_at timestamptz DEFAULT NULL,
  priority integer DEFAULT NULL,
  unique_key text DEFAULT NULL,
  on_conflict text DEFAULT 'keep',
  unique_for interval DEFAULT NULL,
  max_attempts integer DEFAULT NULL,
  timeout interval DEFAULT NULL,
  ttl interval DEFAULT NULL,
  tags text[] DEFAULT NULL,
  headers jsonb DEFAULT NULL
) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_run';
COMMENT ON FUNCTION jobq.run IS
  'runs one SQL command in a background worker as the calling role, with params as $1';
