-- What the columns of the views and of jobq.job are, for \d+ and for clients
-- that show comments.

COMMENT ON COLUMN jobq.jobs.id IS 'the job''s number; it keeps it for life';
COMMENT ON COLUMN jobq.jobs.queue IS 'name of its queue';
COMMENT ON COLUMN jobq.jobs.state IS
  'scheduled, ready or running; or finished: completed, dead, cancelled or expired';
COMMENT ON COLUMN jobq.jobs.priority IS 'smaller ones run first';
COMMENT ON COLUMN jobq.jobs.attempt IS 'attempts so far, including the one that runs';
COMMENT ON COLUMN jobq.jobs.max_attempts IS 'attempts after which the job is dead';
COMMENT ON COLUMN jobq.jobs.run_at IS 'when it may start, or might have started';
COMMENT ON COLUMN jobq.jobs.enqueued_at IS 'when it was added';
COMMENT ON COLUMN jobq.jobs.started_at IS 'start of the last attempt; NULL: none yet';
COMMENT ON COLUMN jobq.jobs.finished_at IS 'when it ended; NULL: it is live';
COMMENT ON COLUMN jobq.jobs.expires_at IS 'when it expires if it has not been started; NULL: never';
COMMENT ON COLUMN jobq.jobs.lease_until IS
  'end of the lease that holds it; NULL: none, or one without a limit in time';
COMMENT ON COLUMN jobq.jobs.worker IS 'who has the job, or had it last';
COMMENT ON COLUMN jobq.jobs.payload IS 'what the job is to do';
COMMENT ON COLUMN jobq.jobs.result IS 'what the handler returned, or complete() was given';
COMMENT ON COLUMN jobq.jobs.error IS
  'message of the last attempt that failed; of a finished job, why it is dead or cancelled';
COMMENT ON COLUMN jobq.jobs.sqlstate IS 'SQLSTATE that goes with error';
COMMENT ON COLUMN jobq.jobs.unique_key IS 'key that no other live job of the queue has';
COMMENT ON COLUMN jobq.jobs.group_key IS 'reserved; NULL';
COMMENT ON COLUMN jobq.jobs.tags IS 'tags given to enqueue()';
COMMENT ON COLUMN jobq.jobs.headers IS 'values about the job that are not part of its payload';
COMMENT ON COLUMN jobq.jobs.progress IS 'note of the last heartbeat that gave one';
COMMENT ON COLUMN jobq.jobs.command IS 'SQL that it runs, of a job of run() or a schedule';

COMMENT ON COLUMN jobq.dead_letters.id IS 'the job''s number, for retry()';
COMMENT ON COLUMN jobq.dead_letters.queue IS 'name of its queue';
COMMENT ON COLUMN jobq.dead_letters.attempt IS 'attempts that were made';
COMMENT ON COLUMN jobq.dead_letters.enqueued_at IS 'when it was added';
COMMENT ON COLUMN jobq.dead_letters.started_at IS 'start of the last attempt';
COMMENT ON COLUMN jobq.dead_letters.finished_at IS 'when it died';
COMMENT ON COLUMN jobq.dead_letters.worker IS 'who had the job last';
COMMENT ON COLUMN jobq.dead_letters.payload IS 'what the job was to do';
COMMENT ON COLUMN jobq.dead_letters.error IS 'why it is dead';
COMMENT ON COLUMN jobq.dead_letters.sqlstate IS 'SQLSTATE that goes with error';
COMMENT ON COLUMN jobq.dead_letters.unique_key IS 'key that it had in its queue while it was live';
COMMENT ON COLUMN jobq.dead_letters.group_key IS 'reserved; NULL';
COMMENT ON COLUMN jobq.dead_letters.tags IS 'tags given to enqueue()';
COMMENT ON COLUMN jobq.dead_letters.headers IS
  'values about the job that are not part of its payload';
COMMENT ON COLUMN jobq.dead_letters.command IS 'SQL that it ran, of a job of run() or a schedule';

COMMENT ON COLUMN jobq.attempts.job_id IS 'number of the job';
COMMENT ON COLUMN jobq.attempts.queue IS 'name of its queue';
COMMENT ON COLUMN jobq.attempts.attempt IS 'which attempt it was, from 1';
COMMENT ON COLUMN jobq.attempts.started_at IS 'start of the attempt';
COMMENT ON COLUMN jobq.attempts.finished_at IS 'end of the attempt';
COMMENT ON COLUMN jobq.attempts.outcome IS 'failed, timed out, lease lost, crashed or interrupted';
COMMENT ON COLUMN jobq.attempts.worker IS 'who made the attempt';
COMMENT ON COLUMN jobq.attempts.sqlstate IS 'SQLSTATE of the error';
COMMENT ON COLUMN jobq.attempts.error IS 'message of the error';
COMMENT ON COLUMN jobq.attempts.detail IS 'DETAIL of the error';
COMMENT ON COLUMN jobq.attempts.hint IS 'HINT of the error';
COMMENT ON COLUMN jobq.attempts.context IS 'CONTEXT of the error';
COMMENT ON COLUMN jobq.attempts.data IS 'detail that was given to fail()';

COMMENT ON COLUMN jobq.queues.queue IS 'name of the queue';
COMMENT ON COLUMN jobq.queues.owner IS
  'role that may do everything with it, and that handlers run as';
COMMENT ON COLUMN jobq.queues.handler IS
  'function or procedure that background workers call for each job; NULL: external workers take them';
COMMENT ON COLUMN jobq.queues.description IS 'what the queue is for';
COMMENT ON COLUMN jobq.queues.paused IS 'whether no further job is started';
COMMENT ON COLUMN jobq.queues.draining IS 'whether no new job is taken';
COMMENT ON COLUMN jobq.queues.created_at IS 'when the queue was made';
COMMENT ON COLUMN jobq.queues.scheduled IS 'number of jobs whose run_at is ahead';
COMMENT ON COLUMN jobq.queues.ready IS 'number of jobs that may be started now';
COMMENT ON COLUMN jobq.queues.running IS 'number of jobs that a worker has';
COMMENT ON COLUMN jobq.queues.waiting IS 'reserved; 0';
COMMENT ON COLUMN jobq.queues.max_attempts IS 'attempts after which a job is dead';
COMMENT ON COLUMN jobq.queues.backoff IS
  'how the delay before another attempt grows: exponential, linear or fixed';
COMMENT ON COLUMN jobq.queues.backoff_base IS 'delay after the first attempt';
COMMENT ON COLUMN jobq.queues.backoff_factor IS
  'what an exponential backoff multiplies the delay by each time';
COMMENT ON COLUMN jobq.queues.backoff_max IS 'longest delay, before jitter';
COMMENT ON COLUMN jobq.queues.jitter IS 'share of the delay by which chance changes it, 0 to 1';
COMMENT ON COLUMN jobq.queues.backoff_steps IS
  'delays one by one, instead of backoff; the last one repeats';
COMMENT ON COLUMN jobq.queues.backoff_function IS
  'function that computes the delay, instead of the above';
COMMENT ON COLUMN jobq.queues.lease IS 'how long dequeue() gives a job';
COMMENT ON COLUMN jobq.queues.timeout IS 'longest time of an attempt; NULL: no limit';
COMMENT ON COLUMN jobq.queues.priority IS 'priority of jobs that name none';
COMMENT ON COLUMN jobq.queues.ttl IS
  'how late a job may be started before it expires; NULL: no limit';
COMMENT ON COLUMN jobq.queues.payload_check IS 'function that accepts or refuses payloads';
COMMENT ON COLUMN jobq.queues.payload_path IS 'predicate that payloads must satisfy';
COMMENT ON COLUMN jobq.queues.payload_max_bytes IS 'longest payload, as text; NULL: no limit';
COMMENT ON COLUMN jobq.queues.keep_completed IS 'how long completed jobs are kept';
COMMENT ON COLUMN jobq.queues.keep_completed_count IS 'how many of them are kept; NULL: no limit';
COMMENT ON COLUMN jobq.queues.keep_dead IS 'how long dead, cancelled and expired jobs are kept';
COMMENT ON COLUMN jobq.queues.keep_dead_count IS 'how many of them are kept; NULL: no limit';
COMMENT ON COLUMN jobq.queues.on_dead IS
  'queue that gets a job for each one that dies; NULL: none, or one that the reader may not know';
COMMENT ON COLUMN jobq.queues.notify IS 'whether listeners are told of ready jobs';
COMMENT ON COLUMN jobq.queues.session_bound IS
  'whether claims end with the session rather than in time';
COMMENT ON COLUMN jobq.queues.sync_completion IS 'whether completing a job waits for the disk';
COMMENT ON COLUMN jobq.queues.share_commits IS 'whether short SQL jobs share transactions';
COMMENT ON COLUMN jobq.queues.max_running IS 'how many of its jobs run at the same time at most; NULL: any number';

COMMENT ON COLUMN jobq.schedules.name IS 'name of the schedule';
COMMENT ON COLUMN jobq.schedules.owner IS
  'role that its command runs as, or that enqueues its jobs';
COMMENT ON COLUMN jobq.schedules.queue IS
  'queue that gets the jobs; NULL: it runs a command, or the reader may not know the queue';
COMMENT ON COLUMN jobq.schedules.command IS 'SQL that is run; NULL: jobs go to a queue';
COMMENT ON COLUMN jobq.schedules.payload IS 'payload of the jobs, or $1 of the command';
COMMENT ON COLUMN jobq.schedules.cron IS 'cron expression, or @every and an interval';
COMMENT ON COLUMN jobq.schedules.timezone IS 'time zone that the expression is read in';
COMMENT ON COLUMN jobq.schedules.enabled IS 'whether it makes runs';
COMMENT ON COLUMN jobq.schedules.disabled_reason IS 'why jobq has disabled it; NULL: it has not';
COMMENT ON COLUMN jobq.schedules.next_run IS 'when the next run is due; NULL: there is none';
COMMENT ON COLUMN jobq.schedules.last_run IS 'when the last run that was made was due';
COMMENT ON COLUMN jobq.schedules.last_job IS 'number of the job of the last run';
COMMENT ON COLUMN jobq.schedules.runs IS 'runs that were made, on time or late';
COMMENT ON COLUMN jobq.schedules.missed_runs IS 'runs that were missed and not made up for';
COMMENT ON COLUMN jobq.schedules.skipped_runs IS
  'runs left out because the one before had not finished';
COMMENT ON COLUMN jobq.schedules.late_runs IS 'runs that were made more than a minute late';
COMMENT ON COLUMN jobq.schedules.max_runs IS
  'number of runs after which it makes no more; NULL: no limit';
COMMENT ON COLUMN jobq.schedules.missed IS 'what becomes of missed runs: skip, once or all';
COMMENT ON COLUMN jobq.schedules.catch_up_window IS
  'how late a missed run may still be started; NULL: jobq.catch_up_window';
COMMENT ON COLUMN jobq.schedules.overlap IS
  'what to do if the run before has not finished: skip, allow, queue or cancel';
COMMENT ON COLUMN jobq.schedules.jitter IS 'longest delay that each run is given; NULL: none';
COMMENT ON COLUMN jobq.schedules.starts_at IS 'no run is due before this; NULL: no limit';
COMMENT ON COLUMN jobq.schedules.ends_at IS 'no run is due after this; NULL: no limit';
COMMENT ON COLUMN jobq.schedules.priority IS 'priority of the jobs; NULL: the queue''s';
COMMENT ON COLUMN jobq.schedules.max_attempts IS 'attempts of the jobs; NULL: the queue''s';
COMMENT ON COLUMN jobq.schedules.timeout IS 'longest time of an attempt; NULL: the queue''s';
COMMENT ON COLUMN jobq.schedules.tags IS 'tags of the jobs';
COMMENT ON COLUMN jobq.schedules.keep_runs IS
  'all, or errors: runs that have succeeded are not kept';
COMMENT ON COLUMN jobq.schedules.created_at IS 'when the schedule was made';

COMMENT ON COLUMN jobq.schedule_runs.schedule IS 'name of the schedule';
COMMENT ON COLUMN jobq.schedule_runs.slot IS 'when the run was due';
COMMENT ON COLUMN jobq.schedule_runs.last_slot IS
  'when the last one was due, of several runs left out in a row; NULL: it is one run';
COMMENT ON COLUMN jobq.schedule_runs.runs IS 'how many runs the row stands for';
COMMENT ON COLUMN jobq.schedule_runs.fired_at IS 'when this was decided';
COMMENT ON COLUMN jobq.schedule_runs.outcome IS 'enqueued, skipped, missed or failed';
COMMENT ON COLUMN jobq.schedule_runs.late_by IS 'how long after slot the run was enqueued';
COMMENT ON COLUMN jobq.schedule_runs.caught_up IS 'whether the run was missed and made up for';
COMMENT ON COLUMN jobq.schedule_runs.job IS 'number of its job';
COMMENT ON COLUMN jobq.schedule_runs.state IS 'state of its job now; NULL: no longer known';
COMMENT ON COLUMN jobq.schedule_runs.reason IS
  'why it was skipped or failed, or who asked for the run';

COMMENT ON COLUMN jobq.workers.pid IS 'number of its process';
COMMENT ON COLUMN jobq.workers.kind IS 'coordinator or executor';
COMMENT ON COLUMN jobq.workers.role IS 'role that an executor runs jobs for';
COMMENT ON COLUMN jobq.workers.state IS
  'starting, idle or running; of a coordinator also stopped or no free worker slot';
COMMENT ON COLUMN jobq.workers.queue IS 'queue of the job that it runs';
COMMENT ON COLUMN jobq.workers.job_id IS 'number of the job that it runs';
COMMENT ON COLUMN jobq.workers.attempt IS 'attempt of the job that it runs';
COMMENT ON COLUMN jobq.workers.since IS 'since when it has been in this state';

COMMENT ON COLUMN jobq.health.severity IS
  'critical: jobs or schedules do not run; warning: some do not, or soon will not; info';
COMMENT ON COLUMN jobq.health.topic IS 'kind of finding; the reference has a list';
COMMENT ON COLUMN jobq.health.object IS
  'queue, schedule, setting, session or slot that it is about; NULL: the database';
COMMENT ON COLUMN jobq.health.message IS 'what is the matter';
COMMENT ON COLUMN jobq.health.hint IS 'what to do about it';
COMMENT ON COLUMN jobq.health.since IS 'since when, as far as that is known';

COMMENT ON COLUMN jobq.job.id IS 'number of the job';
COMMENT ON COLUMN jobq.job.queue IS 'name of its queue';
COMMENT ON COLUMN jobq.job.payload IS 'what the job is to do';
COMMENT ON COLUMN jobq.job.attempt IS 'number of this attempt, from 1';
COMMENT ON COLUMN jobq.job.max_attempts IS 'attempts after which the job is dead';
COMMENT ON COLUMN jobq.job.lease IS
  'number that proves the claim, for complete(), fail() and the like; NULL: claimed in the transaction';
COMMENT ON COLUMN jobq.job.lease_until IS 'end of the lease; NULL: without a limit in time';
COMMENT ON COLUMN jobq.job.priority IS 'smaller ones run first';
COMMENT ON COLUMN jobq.job.enqueued_at IS 'when the job was added';
COMMENT ON COLUMN jobq.job.run_at IS 'when it was to start';
COMMENT ON COLUMN jobq.job.unique_key IS 'key that no other live job of the queue has';
COMMENT ON COLUMN jobq.job.group_key IS 'reserved; NULL';
COMMENT ON COLUMN jobq.job.tags IS 'tags given to enqueue()';
COMMENT ON COLUMN jobq.job.headers IS 'values about the job that are not part of its payload';
COMMENT ON COLUMN jobq.job.progress IS 'note of the last heartbeat that gave one';
