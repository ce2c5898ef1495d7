CALL jobq.wait('{:queue}', '1 s', NULL);
BEGIN;
SELECT id, scope FROM kills.take(':queue') \gset
\if :id > 0
\set ms random(5, 30)
\sleep :ms ms
SELECT kills.say_end(':scope', :id, 'X' || pg_current_xact_id());
\endif
COMMIT;
