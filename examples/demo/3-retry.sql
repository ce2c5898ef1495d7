-- A handler may take the whole job, to know which attempt it is. The first
-- payment succeeds when it is tried again, the second never does.
CREATE FUNCTION pay(job jobq.job) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  IF job.payload->>'card' = 'expired' THEN
    RAISE EXCEPTION 'card refused' USING DETAIL = 'It has expired.';
  ELSIF job.attempt = 1 THEN
    RAISE EXCEPTION 'the bank does not answer';
  END IF;
  RETURN 'paid';
END $$;
SELECT jobq.create_queue('payment', handler => 'pay(jobq.job)',
                         max_attempts => 3, backoff_steps => '{200 ms,400 ms}');
SELECT jobq.enqueue('payment', '{"card": "good"}') AS first,
       jobq.enqueue('payment', '{"card": "expired"}') AS second;
