\set r random(1, 100)
BEGIN;
SELECT NOT soak.produce(:max_backlog) AS full \gset
\if :r <= 5
ROLLBACK;
\else
COMMIT;
\endif
\if :full
\sleep 5 ms
\endif
