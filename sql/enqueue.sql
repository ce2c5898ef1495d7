-- Producing: what becomes of the arguments, and every error once.
CREATE EXTENSION IF NOT EXISTS jobq;

SELECT jobq.create_queue('produce', max_attempts => 3, priority => 5);

-- a job is there, with the queue's settings
SELECT jobq.enqueue('produce') AS plain \gset
SELECT queue, state, payload, priority, attempt, max_attempts,
       run_at = enqueued_at AS now
FROM jobq.jobs WHERE id = :plain;

-- and with settings of its own
SELECT jobq.enqueue('produce', '{"a": 1}', delay => '1 hour', priority => -7,
                    max_attempts => 9, timeout => '1 min', tags => '{x,y}',
                    headers => '{"trace": "abc"}') AS own \gset
SELECT state, payload, priority, max_attempts, tags, headers,
       run_at - enqueued_at BETWEEN '59 min' AND '1 hour' AS in_an_hour
FROM jobq.jobs WHERE id = :own;

-- a time in the past means now
SELECT jobq.enqueue('produce', run_at => '2001-01-01') AS past \gset
SELECT state, run_at > now() - interval '1 hour' AS now
FROM jobq.jobs WHERE id = :past;

-- many at once: ids in the array's order
SELECT array_agg(id ORDER BY ord) AS ids
FROM jobq.enqueue_many('produce', ARRAY['1', '{"n": 2}', '[3]', 'null']::jsonb[])
     WITH ORDINALITY AS t (id, ord) \gset
SELECT payload FROM unnest(:'ids'::bigint[]) WITH ORDINALITY AS t (id, ord)
JOIN jobq.jobs USING (id) ORDER BY ord;
SELECT count(*) FROM jobq.enqueue_many('produce', '{}');

-- transactional, with savepoints
BEGIN;
SELECT count(jobq.enqueue('produce', '"kept"')) FROM generate_series(1, 2);
SAVEPOINT s;
SELECT count(jobq.enqueue('produce', '"gone"')) FROM generate_series(1, 2);
ROLLBACK TO s;
COMMIT;
BEGIN;
SELECT count(jobq.enqueue('produce', '"gone"')) FROM generate_series(1, 2);
ROLLBACK;
SELECT payload, count(*) FROM jobq.jobs
WHERE queue = 'produce' AND payload IN ('"kept"', '"gone"') GROUP BY 1;

-- from a trigger
CREATE TABLE produce_order (id int);
CREATE FUNCTION produce_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM jobq.enqueue('produce', jsonb_build_object('order', NEW.id));
  RETURN NEW;
END $$;
CREATE TRIGGER t AFTER INSERT ON produce_order
  FOR EACH ROW EXECUTE FUNCTION produce_trigger();
INSERT INTO produce_order SELECT generate_series(1, 3);
SELECT payload FROM jobq.jobs WHERE payload ? 'order' ORDER BY id;
DROP TABLE produce_order;
DROP FUNCTION produce_trigger;

-- large payloads survive
SELECT jobq.enqueue('produce', jsonb_build_object('big', string_agg(md5(i::text), ''))) AS big
FROM generate_series(1, 5000) i \gset
SELECT length(payload->>'big') FROM jobq.jobs WHERE id = :big;

-- ------------------------------------------------------------- unique keys
SELECT jobq.create_queue('uniq');
SELECT jobq.enqueue('uniq', '1', unique_key => 'k') AS first \gset
SELECT jobq.enqueue('uniq', '2', unique_key => 'k') = :first AS same;
SELECT payload FROM jobq.jobs WHERE id = :first;
SELECT jobq.enqueue('uniq', '3', unique_key => 'k', on_conflict => 'replace',
                    priority => 9) = :first AS same;
SELECT payload, priority FROM jobq.jobs WHERE id = :first;
\set VERBOSITY terse
SELECT jobq.enqueue('uniq', '4', unique_key => 'k', on_conflict => 'error');
SELECT payload FROM jobq.jobs WHERE id = :first;
-- another key, another queue: other jobs
SELECT jobq.enqueue('uniq', unique_key => 'l') <> :first AS other;
SELECT jobq.enqueue('produce', unique_key => 'k') <> :first AS other;
-- within one command and one transaction
SELECT count(DISTINCT id) FROM jobq.enqueue_many('uniq', '{1,2,3}', unique_keys => '{m,m,m}') id;
SELECT count(DISTINCT jobq.enqueue('uniq', to_jsonb(i), unique_key => 'n', on_conflict => 'replace'))
FROM generate_series(1, 3) i;
SELECT payload FROM jobq.jobs WHERE unique_key = 'n';
-- a running job keeps its payload
SELECT id AS running, lease FROM jobq.dequeue('uniq', 4) WHERE unique_key = 'k' \gset
SELECT jobq.enqueue('uniq', '5', unique_key => 'k', on_conflict => 'replace') = :running AS same;
SELECT payload FROM jobq.jobs WHERE id = :running;
SELECT jobq.complete(:running, :lease);
-- finished ones do not count, unless they are asked for
SELECT jobq.enqueue('uniq', '6', unique_key => 'k', unique_for => '1 hour') = :running AS finished;
SELECT jobq.enqueue('uniq', '6', unique_key => 'k', unique_for => '1 hour', on_conflict => 'error');
\set VERBOSITY default
SELECT jobq.enqueue('uniq', '6', unique_key => 'k') <> :running AS fresh;
SELECT count(*) FROM jobq.jobs WHERE unique_key = 'k' AND queue = 'uniq';

-- a key for each of several jobs, in any order; one that is there twice is a conflict
SELECT jobq.create_queue('keys');
SELECT jobq.enqueue('keys', unique_key => 'z') AS kept \gset
SELECT jobq.enqueue_many('keys', '{1,2,3,4}', unique_keys => '{b,NULL,a,NULL}') - :kept AS nth;
SELECT jobq.enqueue_many('keys', '{5,6,7,8}', unique_keys => '{a,c,b,c}') - :kept AS nth;
SELECT payload, unique_key FROM jobq.jobs WHERE queue = 'keys' ORDER BY id;
SELECT jobq.enqueue_many('keys', '{9,10,11,12}', unique_keys => '{a,d,b,d}', on_conflict => 'replace') - :kept AS nth;
SELECT payload, unique_key FROM jobq.jobs WHERE queue = 'keys' ORDER BY id;
\set VERBOSITY terse
SELECT jobq.enqueue_many('keys', '{13,14,15}', unique_keys => '{e,f,e}', on_conflict => 'error');
SELECT jobq.enqueue_many('keys', '{13,14}', unique_keys => '{e,a}', on_conflict => 'error');
\set VERBOSITY default
SELECT count(*) FROM jobq.jobs WHERE queue = 'keys';
SELECT count(jobq.complete(id, lease)) FROM jobq.dequeue('keys', 100) WHERE unique_key = 'a';
SELECT count(*) FROM jobq.enqueue_many('keys', '{16,17}', unique_keys => '{a,NULL}', unique_for => '1 hour') AS id
JOIN jobq.jobs AS j USING (id) WHERE state = 'completed';
SELECT jobq.enqueue_many('keys', '{1,2}', unique_keys => '{NULL,NULL}') - jobq.enqueue('keys') AS before;
SELECT jobq.enqueue_many('keys', '{}', unique_keys => '{}');
SELECT count(*) FROM jobq.enqueue_many('keys', '{1}', unique_key => 'g');
-- what is not a key for each
SELECT jobq.enqueue_many('keys', '{1,2}', unique_key => 'h');
SELECT jobq.enqueue_many('keys', '{1,2}', unique_keys => '{h}');
SELECT jobq.enqueue_many('keys', '{1,2}', unique_keys => '{{h},{i}}');
SELECT jobq.enqueue_many('keys', '{1,2}', unique_keys => '{h,""}');
SELECT jobq.enqueue_many('keys', '{1}', unique_key => 'h', unique_keys => '{h}');
SELECT jobq.enqueue_many('keys', '{{1,2},{3,4}}');
SELECT jobq.enqueue_many('keys', '{1,NULL}');
SELECT count(*) FROM jobq.jobs WHERE unique_key IN ('h', 'i');
SELECT jobq.drop_queue('keys', force => true);
-- a finished job is remembered for unique_for even if its queue keeps none
SELECT jobq.create_queue('forgetful', keep_completed => '0');
SELECT jobq.enqueue('forgetful', unique_key => 'k', unique_for => '1 hour') AS once \gset
SELECT id = :once AS taken FROM jobq.take('forgetful');
SELECT jobq.enqueue('forgetful', unique_key => 'k', unique_for => '1 hour') = :once AS remembered;
SELECT state, unique_key FROM jobq.jobs WHERE id = :once;
-- one that is not on record does not count
SELECT jobq.enqueue('forgetful', unique_key => 'l') AS once \gset
SELECT count(jobq.complete(id, lease)) FROM jobq.dequeue('forgetful');
SELECT jobq.enqueue('forgetful', unique_key => 'l', unique_for => '1 hour') = :once AS remembered;
SELECT jobq.alter_queue('forgetful', keep_completed => '1 hour');
SELECT count(jobq.complete(id, lease)) FROM jobq.dequeue('forgetful');
SELECT jobq.enqueue('forgetful', unique_key => 'm') AS once \gset
SELECT count(jobq.complete(id, lease)) FROM jobq.dequeue('forgetful');
SELECT jobq.enqueue('forgetful', unique_key => 'm', unique_for => '1 hour') = :once AS remembered;
SELECT jobq.alter_queue('forgetful', keep_completed => '0');
SELECT jobq.enqueue('forgetful', unique_key => 'm', unique_for => '1 hour') = :once AS remembered;
SELECT count(*) FROM jobq.jobs WHERE id = :once;
-- one that was not completed has its key no more
SELECT jobq.enqueue('forgetful', unique_key => 'n', unique_for => '1 hour') AS once \gset
SELECT jobq.cancel(:once);
SELECT jobq.enqueue('forgetful', unique_key => 'n', unique_for => '1 hour') = :once AS remembered;
SELECT count(jobq.fail(id, lease, 'x', retryable => false)) FROM jobq.dequeue('forgetful', 5);
SELECT jobq.enqueue('forgetful', unique_key => 'n', unique_for => '1 hour') = :once AS remembered;

-- ------------------------------------------------------- checks of payloads
CREATE FUNCTION produce_check(jsonb) RETURNS text LANGUAGE sql
AS $$ SELECT CASE WHEN $1 ? 'to' THEN NULL ELSE 'the field "to" is missing' END $$;
CREATE FUNCTION produce_check_bool(jsonb) RETURNS boolean LANGUAGE sql
AS $$ SELECT $1 ? 'to' $$;
SELECT jobq.create_queue('checked', payload_check => 'produce_check(jsonb)',
                         payload_max_bytes => 100);
SELECT jobq.enqueue('checked', '{"to": "me"}') > 0 AS accepted;
SELECT jobq.enqueue('checked', '{"from": "me"}');
SELECT jobq.enqueue('checked', jsonb_build_object('to', repeat('x', 100)));
SELECT * FROM jobq.enqueue_many('checked', ARRAY['{"to": "a"}', '{"cc": "b"}']::jsonb[]);
SELECT jobq.alter_queue('checked', payload_check => 'produce_check_bool(jsonb)');
SELECT jobq.enqueue('checked', '{"from": "me"}');
SELECT count(*) FROM jobq.jobs WHERE queue = 'checked';
DROP FUNCTION produce_check_bool(jsonb);
SELECT jobq.enqueue('checked', '{"to": "me"}');
SELECT jobq.drop_queue('checked', force => true);
DROP FUNCTION produce_check(jsonb);

-- ---------------------------------------------------------------- many jobs
-- more than are inserted at once, in order, each with its own payload
SELECT jobq.create_queue('many');
CREATE TEMP TABLE many AS
SELECT id, n FROM jobq.enqueue_many('many', ARRAY(SELECT to_jsonb(i) FROM generate_series(1, 1000) AS i),
  priority => 5, tags => '{t}', ttl => '1 day') WITH ORDINALITY AS e(id, n);
SELECT count(*), max(id) - min(id) AS range, bool_and(j.payload = to_jsonb(m.n)) AS payloads,
  bool_and(j.priority = 5 AND j.tags = '{t}' AND j.expires_at = j.run_at + interval '1 day') AS options
FROM many AS m JOIN jobq.jobs AS j USING (id);
SELECT bool_and(id = min + n - 1) AS in_order FROM many, (SELECT min(id) FROM many) AS m;
-- long ones, compressed or not, and by themselves
TRUNCATE many;
INSERT INTO many SELECT id, n FROM jobq.enqueue_many('many', ARRAY(
  SELECT to_jsonb(CASE WHEN i % 3 = 0 THEN repeat('x', i * 100)
    ELSE (SELECT string_agg(md5(i::text || k), '') FROM generate_series(1, i) AS k) END)
  FROM generate_series(1, 300) AS i)) WITH ORDINALITY AS e(id, n);
SELECT count(*), sum(length(j.payload #>> '{}')),
  bool_and(j.payload #>> '{}' = CASE WHEN n % 3 = 0 THEN repeat('x', n::integer * 100)
    ELSE (SELECT string_agg(md5(n::text || k), '') FROM generate_series(1, n) AS k) END) AS same
FROM many AS m JOIN jobq.jobs AS j USING (id);
-- a payload that lies in another table's TOAST
CREATE TEMP TABLE long_payload AS
SELECT to_jsonb(string_agg(md5(i::text), '')) AS p FROM generate_series(1, 1000) AS i;
SELECT jobq.enqueue('many', p) AS id FROM long_payload \gset
SELECT jobq.enqueue_many('many', ARRAY[p]) AS many_id FROM long_payload \gset
SELECT id = :many_id AS many, payload = p AS same FROM jobq.jobs, long_payload
WHERE id IN (:id, :many_id) ORDER BY id;
DROP TABLE long_payload;
-- in a subtransaction that is rolled back, and none at all
BEGIN;
SAVEPOINT s;
SELECT count(*) FROM jobq.enqueue_many('many', '{1,2}', priority => -1);
ROLLBACK TO s;
SELECT count(*) FROM jobq.enqueue_many('many', '{3}', priority => -1);
COMMIT;
SELECT payload FROM jobq.jobs WHERE queue = 'many' AND priority = -1;
SELECT count(*) FROM jobq.enqueue_many('many', '{}');
SELECT jobq.drop_queue('many', force => true);
DROP TABLE many;

-- ------------------------------------------------------------------- errors
SELECT jobq.enqueue('produec');
SELECT jobq.enqueue('something else entirely');
SELECT jobq.enqueue('run:nobody');
SELECT jobq.enqueue(repeat('x', 64));
SELECT jobq.enqueue(NULL);
SELECT jobq.enqueue('produce', NULL);
SELECT jobq.enqueue('produce', priority => 32768);
SELECT jobq.enqueue('produce', priority => -32769);
SELECT jobq.enqueue('produce', delay => '-1 s');
SELECT jobq.enqueue('produce', delay => '1 s', run_at => now());
SELECT jobq.enqueue('produce', run_at => 'infinity');
SELECT jobq.enqueue('produce', run_at => '-infinity');
SELECT jobq.enqueue('produce', delay => '300000 years');
SELECT jobq.enqueue('produce', max_attempts => 0);
SELECT jobq.enqueue('produce', timeout => '0');
SELECT jobq.enqueue('produce', ttl => '-1 s');
SELECT jobq.enqueue('produce', tags => '{{a},{b}}');
SELECT jobq.enqueue('produce', tags => '{a,NULL}');
SELECT jobq.enqueue('produce', tags => array_fill('t'::text, ARRAY[101]));
SELECT jobq.enqueue('produce', headers => '[1]');
SELECT jobq.enqueue('produce', headers => '{"a": 1, "jobq_dead_job": 1}');
SELECT jobq.enqueue_many('produce', '{}', headers => '{"jobq_dead_job": null}');
SELECT jobq.run('SELECT 1', headers => '{"jobq_dead_job": {}}');
SELECT jobq.enqueue('produce', unique_key => '');
SELECT jobq.enqueue('produce', unique_key => repeat('k', 1001));
SELECT jobq.enqueue('produce', unique_key => 'k', on_conflict => 'explode');
SELECT jobq.enqueue_many('produce', '{1,2,3}', unique_keys => '{twice,once,twice}', on_conflict => 'error');
SELECT jobq.enqueue_many('produce', '{1,2,3}', unique_keys => '{NULL,once,NULL}', on_conflict => 'error') > 0 AS added;
SELECT jobq.enqueue('produce', on_conflict => 'replace');
SELECT jobq.enqueue_many('produce', '{1}', on_conflict => 'error');
SELECT jobq.run('SELECT 1', on_conflict => 'error');
SELECT jobq.enqueue('produce', unique_for => '1 h');
SELECT jobq.enqueue('produce', unique_key => 'k', unique_for => '0');
SELECT jobq.enqueue_many('produce', NULL);
SELECT jobq.enqueue_many('produce', ARRAY['1', NULL]::jsonb[]);
SELECT jobq.run(NULL);
SELECT jobq.run('');
SELECT jobq.run('SELEKT 1');
SELECT jobq.run('SELECT 1; SELECT 2');
SELECT jobq.run('COMMIT');
BEGIN READ ONLY;
SELECT jobq.enqueue('produce');
ROLLBACK;

SELECT jobq.drop_queue(q, force => true) FROM unnest('{produce,uniq,forgetful}'::text[]) q;
