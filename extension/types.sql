-- The row type that claims return and that handlers may take.

CREATE TYPE jobq.job AS (
  id bigint,
  queue text,
  payload jsonb,
  attempt integer,
  max_attempts integer,
  lease bigint,
  lease_until timestamptz,
  priority integer,
  enqueued_at timestamptz,
  run_at timestamptz,
  unique_key text,
  group_key text,
  tags text[],
  headers jsonb,
  progress jsonb
);
COMMENT ON TYPE jobq.job IS 'a job as its worker sees it';
