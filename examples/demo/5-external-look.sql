SELECT id, state, worker, payload, result, error
FROM jobq.jobs WHERE queue = 'words' ORDER BY id;
