BEGIN;
SELECT soak.ready_to_end(':ids', :lease, 'lent') AS ids \gset
SELECT coalesce(array_agg(id), '{}') AS ids, coalesce(max(lease), 0) AS lease FROM jobq.next('lent', ':ids', :lease, 2) \gset
COMMIT;
\if :lease = 0
\sleep 5 ms
\endif
