\set r random(1, 1000000000)
\set s random(1, 1000000000)
\set level random(1, 100)
\set save random(1, 100)
\set end random(1, 100)
\set plain :level <= 12
\set prepared :end <= 12
\if :level <= 8
BEGIN ISOLATION LEVEL REPEATABLE READ;
\elif :level <= 12
BEGIN ISOLATION LEVEL SERIALIZABLE;
\else
BEGIN;
\endif
SELECT act(:r, :plain, :prepared);
\if :save <= 10 AND NOT :calm
SAVEPOINT s;
SELECT act(:s, :plain, :prepared);
ROLLBACK TO s;
SELECT act(:s, :plain, :prepared);
\elif :save <= 20
SAVEPOINT s;
SELECT act(:s, :plain, :prepared);
RELEASE s;
\endif
\if :end <= 4 AND NOT :victim
PREPARE TRANSACTION 'own :who :client_id :r';
COMMIT PREPARED 'own :who :client_id :r';
\elif :end <= 6 AND NOT :victim
PREPARE TRANSACTION 'own :who :client_id :r';
ROLLBACK PREPARED 'own :who :client_id :r';
\elif :end <= 12
PREPARE TRANSACTION 'left :who :client_id :r';
\elif :end <= 30 AND NOT :calm
ROLLBACK;
\else
COMMIT;
\endif
