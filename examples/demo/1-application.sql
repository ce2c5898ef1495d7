CREATE EXTENSION jobq;

-- An application's table, and what is to be done about each row, as SQL.
CREATE TABLE orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  item text NOT NULL,
  shipped_at timestamptz
);
CREATE FUNCTION ship(payload jsonb) RETURNS jsonb LANGUAGE sql AS $$
  UPDATE orders SET shipped_at = clock_timestamp()
  WHERE id = (payload->>'order_id')::bigint
  RETURNING to_jsonb(orders)
$$;
SELECT jobq.create_queue('shipping', handler => 'ship(jsonb)');

-- The order and its job are one transaction.
BEGIN;
INSERT INTO orders (item) VALUES ('a lamp') RETURNING id \gset
SELECT jobq.enqueue('shipping', jsonb_build_object('order_id', :id)) AS job_id;
COMMIT;

-- Another customer thinks better of it: there is no order, and no job.
BEGIN;
INSERT INTO orders (item) VALUES ('a piano') RETURNING id \gset
SELECT jobq.enqueue('shipping', jsonb_build_object('order_id', :id)) AS job_id;
ROLLBACK;
