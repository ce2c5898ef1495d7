-- The worker runs now, and sleeps in poll(). It is told when these commit.
SELECT jobq.enqueue_many('words', ARRAY[
  '{"text": "to be or not to be"}',
  '{"text": "call me Ishmael"}',
  '{"text": "in the beginning"}',
  '{"txt": "a job that must fail"}']::jsonb[]) AS job_id;
