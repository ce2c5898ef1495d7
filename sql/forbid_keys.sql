-- The option forbid_keys: what no key of a payload may contain.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS jobq;
RESET client_min_messages;
SELECT jobq.create_queue('f', forbid_keys => '{password,Secret,x y,пароль}');
SELECT forbid_keys FROM jobq.queues WHERE queue = 'f';
SELECT jobq.enqueue('f', '{"user": "password", "pass": ["secret"], "word": {"secre": "t"}}') AS job \gset
SELECT jobq.enqueue('f', '{"password": "hidden"}');
\echo :SQLSTATE
-- at any depth, whatever the case, anywhere in the key
SELECT jobq.enqueue('f', '{"items": [1, {"n": 2}, [], {"a": 0, "Old_PassWord2": "hidden"}]}');
SELECT jobq.enqueue('f', '[[], {}, [[{"b": {"c": [1, [2], {"my-SECRETS": "hidden"}]}}]]]');
SELECT jobq.enqueue('f', '{"a \"b\"": {"x y": "hidden"}}');
SELECT jobq.enqueue('f', '{"": {"0": {"passwordpassword": "hidden"}}}');
SELECT jobq.enqueue('f', '{"ppasspasswordword": 1}');
-- only the letters A to Z have two cases
SELECT jobq.enqueue('f', '{"старый пароль": "hidden"}');
SELECT jobq.enqueue('f', '{"ПАРОЛЬ": 1, "пaроль": 2, "x  y": 3, "passwor": 4, "assword": 5}') > 0 AS enqueued;
-- payloads without keys
SELECT count(*) FROM unnest('{"null",1,"\"password\"","[]","{}","[\"secret\"]"}'::jsonb[]) AS p, jobq.enqueue('f', p);
SELECT jobq.enqueue('f') > 0 AS enqueued;
-- the path that it shows is the path of the value
SELECT jsonb_path_query('{"items": [1, {"n": 2}, [], {"a \"b\"": {"Password": "found"}}]}', '$.items[3]."a \"b\"".Password');

-- an error stays small, and so does the stack
DO $$
DECLARE
  shown text;
BEGIN
  PERFORM jobq.enqueue('f', (repeat('{"a": [', 3000) || '{"secret": "hidden"}' || repeat(']}', 3000))::jsonb);
EXCEPTION WHEN check_violation THEN
  GET STACKED DIAGNOSTICS shown = PG_EXCEPTION_DETAIL;
  RAISE NOTICE '%', shown;
END $$;
DO $$
DECLARE
  shown text;
BEGIN
  PERFORM jobq.enqueue('f', jsonb_build_object(repeat('ж', 1000000), jsonb_build_object(repeat('y', 1000000) || 'SECRET', 1)));
EXCEPTION WHEN check_violation THEN
  GET STACKED DIAGNOSTICS shown = PG_EXCEPTION_DETAIL;
  RAISE NOTICE '%', shown;
END $$;
SELECT jobq.enqueue('f', (repeat('[', 12) || '{"secret": 1}' || repeat(']', 12))::jsonb);
SELECT jobq.enqueue('f', (repeat('[', 11) || '{"secret": 1}' || repeat(']', 11))::jsonb);
-- many keys
SELECT jobq.enqueue('f', (SELECT jsonb_object_agg('k' || g, g) FROM generate_series(1, 20000) AS g)) > 0 AS enqueued;
SELECT jobq.enqueue('f', (SELECT jsonb_agg(jsonb_build_object(CASE g WHEN 19999 THEN 'secret' ELSE 'k' END, g)) FROM generate_series(0, 20000) AS g));

-- other ways in
SELECT jobq.enqueue_many('f', '{"{\"n\": 1}", "{\"secret\": \"hidden\"}"}');
SELECT jobq.enqueue_many('f', '{"{\"n\": 1}", "{\"secret\": \"hidden\"}"}', unique_keys => '{a,b}');
SELECT jobq.enqueue('f', '{"n": 1}', unique_key => 'a') > 0 AS enqueued;
SELECT jobq.enqueue('f', '{"secret": "hidden"}', unique_key => 'a', on_conflict => 'replace');
SELECT payload FROM jobq.jobs WHERE queue = 'f' AND unique_key = 'a';
SELECT jobq.set_payload(:job, '{"secret": "hidden"}');
SELECT jobq.set_payload(:job, '{"n": 1}');
SELECT jobq.cancel(:job);
SELECT jobq.retry(:job, '{"secret": "hidden"}');
SELECT jobq.schedule('f', '0 0 1 1 *', queue => 'f', payload => '{"secret": "hidden"}');
SELECT jobq.schedule('f', '0 0 1 1 *', queue => 'f', payload => '{"n": 3}') > 0 AS scheduled;
SELECT jobq.alter_schedule('f', payload => '{"secret": "hidden"}');
SELECT count(*) FROM jobq.jobs WHERE queue = 'f' AND payload::text ~ 'hidden';

-- changed while there are jobs; what jobq enqueues itself is not checked
SELECT jobq.alter_queue('f', forbid_keys => '{n}');
SELECT jobq.enqueue('f', '{"secret": 1}') > 0 AS enqueued;
SELECT jobq.enqueue('f', '{"N": 1}');
SELECT jobq.run_schedule('f') > 0 AS run;
SELECT payload FROM jobq.dequeue('f', 100) WHERE payload ? 'n' ORDER BY id;
SELECT jobq.create_queue('dying', max_attempts => 1, on_dead => 'f');
SELECT jobq.alter_queue('f', forbid_keys => '{payload}');
SELECT jobq.enqueue('dying', '{"payload": 1}') > 0 AS dying;
SELECT jobq.fail(id, lease, 'no') FROM jobq.dequeue('dying');
SELECT count(*) FROM jobq.jobs WHERE queue = 'f' AND payload ? 'job_id';

-- together with other options: before the owner's code, after the size
CREATE FUNCTION loud(jsonb) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'called'; RETURN true; END$$;
SELECT jobq.alter_queue('f', forbid_keys => '{n}', payload_path => '$.m > 0', payload_check => 'loud(jsonb)', payload_max_bytes => 20);
SELECT jobq.enqueue('f', '{"n": 0}');
SELECT jobq.enqueue('f', '{"m": 0}');
SELECT jobq.enqueue('f', '{"m": 1}') > 0 AS enqueued;
SELECT jobq.enqueue('f', '{"n": "is longer than that"}');

-- renamed, replaced, reset
SELECT jobq.rename_queue('f', 'f2');
SELECT jobq.enqueue('f2', '{"n": 0}');
SELECT jobq.create_queue('f2', forbid_keys => '{q}', or_replace => true);
SELECT forbid_keys FROM jobq.queues WHERE queue = 'f2';
SELECT jobq.enqueue('f2', '{"n": 0}') > 0 AS enqueued;
SELECT jobq.alter_queue('f2', forbid_keys => '{}');
SELECT jobq.alter_queue('f2', forbid_keys => NULL);
SELECT jobq.enqueue('f2', '{"Q": 0}');
SELECT jobq.reset_queue('f2', 'forbid_keys');
SELECT forbid_keys IS NULL AS unset FROM jobq.queues WHERE queue = 'f2';
SELECT jobq.enqueue('f2', '{"q": 0}') > 0 AS enqueued;
SELECT jobq.unschedule('f');
SELECT jobq.drop_queue(q, force => true) FROM unnest(ARRAY['dying', 'f2']) AS q;
DROP FUNCTION loud(jsonb);
