\set r random(1, 1000000000)
SELECT strike(:r);
\sleep 60 ms
