SELECT id, state, attempt, max_attempts, result
FROM jobq.jobs WHERE queue = 'payment' ORDER BY id;

-- What became of each attempt that failed.
SELECT job_id, attempt, outcome, error, detail
FROM jobq.attempts WHERE queue = 'payment' ORDER BY job_id, attempt;

-- And what is left for somebody to look at. jobq.retry(id) runs it again.
SELECT id, attempt, payload, error, sqlstate FROM jobq.dead_letters;
