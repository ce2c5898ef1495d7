CALL jobq.wait('{:queue}', '1 s', NULL);
SELECT coalesce(max(id), 0) AS id, coalesce(max(lease), 0) AS lease FROM jobq.dequeue(':queue') \gset
\if :id > 0
SELECT kills.say_start(:id);
SELECT kills.finish(:id, :lease);
\endif
