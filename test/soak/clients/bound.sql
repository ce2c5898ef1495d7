SELECT coalesce(array_agg(id), '{}') AS ids, coalesce(max(lease), 0) AS lease FROM jobq.dequeue('bound', 3) \gset
SELECT count(soak.finish(id, :lease, 'bound')) FROM unnest(':ids'::bigint[]) AS id;
\if :lease = 0
\sleep 5 ms
\endif
