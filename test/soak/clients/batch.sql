SELECT soak.hold('batch', 20) AS lease \gset
\if :lease = 0
\sleep 5 ms
\else
SELECT soak.finish_held(:lease, 'batch');
\endif
