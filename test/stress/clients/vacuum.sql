VACUUM (INDEX_CLEANUP on) jobq_store.job;
\sleep 50 ms
