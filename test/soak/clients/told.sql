CALL jobq.wait('{told}', '1 s');
SELECT coalesce(max(id), 0) AS id, coalesce(max(lease), 0) AS lease FROM jobq.dequeue('told') \gset
SELECT soak.finish(:id, :lease, 'told') WHERE :id > 0;
