SELECT count(*) FROM jobq.jobs WHERE queue = 'q' AND state = 'ready';
