-- Ends what others have left prepared.
\set r random(1, 100)
SELECT count(*) AS n, coalesce(min(gid), '') AS g FROM pg_prepared_xacts WHERE gid LIKE 'left%' \gset
\if :n = 0
\sleep 5 ms
\elif :r <= 60
COMMIT PREPARED ':g';
\else
ROLLBACK PREPARED ':g';
\endif
