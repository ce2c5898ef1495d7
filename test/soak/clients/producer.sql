\set r random(1, 100)
BEGIN;
SELECT NOT soak.produce(:max_backlog) AS full, pg_current_xact_id() AS xid \gset
\if :r <= 5
ROLLBACK;
\else
COMMIT;
INSERT INTO soak.gone_on VALUES (':xid');
\endif
\if :full
\sleep 5 ms
\endif
