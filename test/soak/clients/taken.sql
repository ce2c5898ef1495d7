\set r random(1, 100)
BEGIN;
WITH done AS (INSERT INTO soak.effects SELECT id, 'taken' FROM jobq.take('taken', 5) RETURNING 1) SELECT count(*) AS n FROM done \gset
\if :r <= 10
ROLLBACK;
\else
COMMIT;
\endif
\if :n = 0
\sleep 5 ms
\endif
