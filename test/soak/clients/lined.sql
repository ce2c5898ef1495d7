-- Now and then it walks away with a job.
\set r random(1, 100)
SELECT coalesce(max(id), 0) AS id, coalesce(max(lease), 0) AS lease FROM soak.begin('lined') \gset
\if :id = 0
\sleep 5 ms
\elif :r <= 5
SELECT soak.give_up(:id, :lease);
\elif :r <= 98
SELECT soak.finish(:id, :lease, 'lined');
\endif
