-- Comments on the columns of the views and of jobq.job, for \d+ and for clients
-- that show comments.

COMMENT ON COLUMN jobq.jobs.id IS 'number of the job, which never changes';
COMMENT ON COLUMN jobq.jobs.queue IS 'name of the job''s queue';
COMMENT ON COLUMN jobq.jobs.state IS
  'scheduled, ready or running; or finished: completed, dead, cancelled or expired';
COMMENT ON COLUMN jobq.jobs.priority IS 'smaller numbers run first';
COMMENT ON COLUMN jobq.jobs.attempt IS 'attempts so far, including the current one';
COMMENT ON COLUMN jobq.jobs.max_attempts IS 'number of attempts after which the job is dead';
COMMENT ON COLUMN jobq.jobs.run_at IS 'earliest time at which the job may start';
COMMENT ON COLUMN jobq.jobs.enqueued_at IS 'when the job was enqueued';
COMMENT ON COLUMN jobq.jobs.started_at IS 'start of the last attempt; NULL: not started yet';
COMMENT ON COLUMN jobq.jobs.finished_at IS 'when the job finished; NULL: not finished';
COMMENT ON COLUMN jobq.jobs.expires_at IS 'when the job expires unless started; NULL: never';
COMMENT ON COLUMN jobq.jobs.lease_until IS
  'end of the lease that holds the job; NULL: no lease, or one without a time limit';
COMMENT ON COLUMN jobq.jobs.worker IS 'worker that is running the job, or ran it last';
COMMENT ON COLUMN jobq.jobs.payload IS 'data for the handler';
COMMENT ON COLUMN jobq.jobs.result IS 'value returned by the handler, or passed to complete()';
COMMENT ON COLUMN jobq.jobs.error IS
  'message of the last failed attempt; for a finished job, why it is dead or cancelled';
COMMENT ON COLUMN jobq.jobs.sqlstate IS 'SQLSTATE that goes with error';
COMMENT ON COLUMN jobq.jobs.unique_key IS 'key that is unique among the live jobs of the queue';
COMMENT ON COLUMN jobq.jobs.group_key IS 'group of the job within its queue; NULL: none';
COMMENT ON COLUMN jobq.jobs.tags IS 'tags given to enqueue()';
COMMENT ON COLUMN jobq.jobs.headers IS 'metadata of the job, not part of its payload';
COMMENT ON COLUMN jobq.jobs.progress IS 'progress last reported by heartbeat()';
COMMENT ON COLUMN jobq.jobs.command IS
  'SQL that the job runs, if it comes from run() or a schedule';

COMMENT ON COLUMN jobq.dead_letters.id IS 'number of the job, for retry()';
COMMENT ON COLUMN jobq.dead_letters.queue IS 'name of the job''s queue';
COMMENT ON COLUMN jobq.dead_letters.attempt IS 'number of attempts made';
COMMENT ON COLUMN jobq.dead_letters.enqueued_at IS 'when the job was enqueued';
COMMENT ON COLUMN jobq.dead_letters.started_at IS 'start of the last attempt';
COMMENT ON COLUMN jobq.dead_letters.finished_at IS 'when the job died';
COMMENT ON COLUMN jobq.dead_letters.worker IS 'worker that ran the job last';
COMMENT ON COLUMN jobq.dead_letters.payload IS 'data for the handler';
COMMENT ON COLUMN jobq.dead_letters.error IS 'why the job is dead';
COMMENT ON COLUMN jobq.dead_letters.sqlstate IS 'SQLSTATE that goes with error';
COMMENT ON COLUMN jobq.dead_letters.unique_key IS
  'unique key that the job had while it was live';
COMMENT ON COLUMN jobq.dead_letters.group_key IS 'group of the job within its queue; NULL: none';
COMMENT ON COLUMN jobq.dead_letters.tags IS 'tags given to enqueue()';
COMMENT ON COLUMN jobq.dead_letters.headers IS 'metadata of the job, not part of its payload';
COMMENT ON COLUMN jobq.dead_letters.command IS
  'SQL that the job ran, if it came from run() or a schedule';

COMMENT ON COLUMN jobq.attempts.job_id IS 'number of the job';
COMMENT ON COLUMN jobq.attempts.queue IS 'name of the job''s queue';
COMMENT ON COLUMN jobq.attempts.attempt IS 'number of the attempt, from 1';
COMMENT ON COLUMN jobq.attempts.started_at IS 'start of the attempt';
COMMENT ON COLUMN jobq.attempts.finished_at IS 'end of the attempt';
COMMENT ON COLUMN jobq.attempts.outcome IS
  'failed, timed out, lease lost, crashed or interrupted';
COMMENT ON COLUMN jobq.attempts.worker IS 'worker that made the attempt';
COMMENT ON COLUMN jobq.attempts.sqlstate IS 'SQLSTATE of the error';
COMMENT ON COLUMN jobq.attempts.error IS 'message of the error';
COMMENT ON COLUMN jobq.attempts.detail IS 'DETAIL of the error';
COMMENT ON COLUMN jobq.attempts.hint IS 'HINT of the error';
COMMENT ON COLUMN jobq.attempts.context IS 'CONTEXT of the error';
COMMENT ON COLUMN jobq.attempts.data IS 'detail passed to fail()';

COMMENT ON COLUMN jobq.queues.queue IS 'name of the queue';
COMMENT ON COLUMN jobq.queues.owner IS
  'role that has all privileges on the queue; its handler runs as this role';
COMMENT ON COLUMN jobq.queues.handler IS
  'function or procedure that background workers call; NULL: external workers take the jobs';
COMMENT ON COLUMN jobq.queues.description IS 'what the queue is for';
COMMENT ON COLUMN jobq.queues.paused IS 'whether the queue is paused: no more jobs are started';
COMMENT ON COLUMN jobq.queues.draining IS
  'whether the queue is draining: no new jobs are accepted';
COMMENT ON COLUMN jobq.queues.created_at IS 'when the queue was created';
COMMENT ON COLUMN jobq.queues.scheduled IS 'number of jobs whose run_at is in the future';
COMMENT ON COLUMN jobq.queues.ready IS 'number of jobs that can start now';
COMMENT ON COLUMN jobq.queues.running IS 'number of jobs that workers are running';
COMMENT ON COLUMN jobq.queues.waiting IS 'reserved; 0';
COMMENT ON COLUMN jobq.queues.max_attempts IS 'number of attempts after which a job is dead';
COMMENT ON COLUMN jobq.queues.backoff IS
  'how the delay between attempts grows: exponential, linear or fixed';
COMMENT ON COLUMN jobq.queues.backoff_base IS 'delay after the first attempt';
COMMENT ON COLUMN jobq.queues.backoff_factor IS
  'factor by which an exponential backoff increases the delay each time';
COMMENT ON COLUMN jobq.queues.backoff_max IS 'maximum delay, before jitter';
COMMENT ON COLUMN jobq.queues.jitter IS 'fraction of the delay that is randomized, 0 to 1';
COMMENT ON COLUMN jobq.queues.backoff_steps IS
  'list of delays, used instead of backoff; the last one repeats';
COMMENT ON COLUMN jobq.queues.backoff_function IS
  'function that computes the delay, used instead of the above';
COMMENT ON COLUMN jobq.queues.lease IS 'default length of the lease that dequeue() gives';
COMMENT ON COLUMN jobq.queues.timeout IS 'maximum duration of an attempt; NULL: no limit';
COMMENT ON COLUMN jobq.queues.priority IS 'default priority of jobs';
COMMENT ON COLUMN jobq.queues.ttl IS
  'time after run_at at which a job that has not started expires; NULL: no limit';
COMMENT ON COLUMN jobq.queues.payload_check IS 'function that accepts or rejects payloads';
COMMENT ON COLUMN jobq.queues.payload_path IS 'jsonpath predicate that payloads must satisfy';
COMMENT ON COLUMN jobq.queues.forbid_keys IS
  'parts of names that no key of a payload may contain, whatever the case';
COMMENT ON COLUMN jobq.queues.payload_max_bytes IS
  'maximum length of a payload, as text; NULL: no limit';
COMMENT ON COLUMN jobq.queues.keep_completed IS 'how long completed jobs are kept';
COMMENT ON COLUMN jobq.queues.keep_completed_count IS
  'how many completed jobs are kept; NULL: no limit';
COMMENT ON COLUMN jobq.queues.keep_dead IS 'how long dead, cancelled and expired jobs are kept';
COMMENT ON COLUMN jobq.queues.keep_dead_count IS
  'how many dead, cancelled and expired jobs are kept; NULL: no limit';
COMMENT ON COLUMN jobq.queues.on_dead IS
  'queue that receives a job for each job that dies; NULL: none, or not visible to you';
COMMENT ON COLUMN jobq.queues.notify IS 'whether NOTIFY announces ready jobs';
COMMENT ON COLUMN jobq.queues.session_bound IS
  'whether claims last until the session ends, instead of for a time';
COMMENT ON COLUMN jobq.queues.sync_completion IS 'whether completing a job waits for the disk';
COMMENT ON COLUMN jobq.queues.share_commits IS 'whether short SQL jobs share transactions';
COMMENT ON COLUMN jobq.queues.max_running IS
  'maximum number of jobs of the queue that run at the same time; NULL: no limit';
COMMENT ON COLUMN jobq.queues.max_running_per_group IS
  'maximum number of jobs of each group that run at the same time; NULL: no limit';
COMMENT ON COLUMN jobq.queues.max_queued IS
  'maximum number of unfinished jobs in the queue; NULL: no limit';
COMMENT ON COLUMN jobq.queues.group_on_failure IS
  'with max_running_per_group 1, what happens to the others of a group until a job is retried: wait, skip or stop';
COMMENT ON COLUMN jobq.queues.group_rate_limit IS
  'maximum number of jobs of each group that start in a group_rate_period; NULL: no limit';
COMMENT ON COLUMN jobq.queues.group_rate_period IS 'the period of group_rate_limit';
COMMENT ON COLUMN jobq.queues.group_rate_burst IS
  'maximum number of jobs of a group that start at once; NULL: as many as the rate allows in 20 ms';
COMMENT ON COLUMN jobq.queues.on_full IS
  'what enqueue does when the queue is full: error, or drop_oldest';
COMMENT ON COLUMN jobq.queues.lifo IS
  'whether the newest job comes first, instead of the oldest';
COMMENT ON COLUMN jobq.queues.batch_size IS 'maximum number of jobs in a batch; 1: no batches';
COMMENT ON COLUMN jobq.queues.batch_wait IS
  'how long the first ready job waits for a full batch';
COMMENT ON COLUMN jobq.queues.unique_when_dead IS
  'whether a dead, cancelled or expired job keeps its unique key';
COMMENT ON COLUMN jobq.queues.rate_limit IS
  'maximum number of jobs of the queue that start in a rate_period; NULL: no limit';
COMMENT ON COLUMN jobq.queues.rate_period IS 'the period of rate_limit';
COMMENT ON COLUMN jobq.queues.rate_burst IS
  'maximum number of jobs that start at once; NULL: as many as the rate allows in 20 ms';
COMMENT ON COLUMN jobq.queues.on_limit IS
  'what happens to jobs beyond the rate: wait (they start later), skip or error (new jobs are left out, or refused)';
COMMENT ON COLUMN jobq.queues.shared_limit IS
  'limit that its jobs share with those of other queues; NULL: none';

COMMENT ON COLUMN jobq.groups.queue IS 'name of the queue';
COMMENT ON COLUMN jobq.groups.group_key IS 'the group_key of its jobs';
COMMENT ON COLUMN jobq.groups.running IS
  'number of its jobs that are running; those that run as a batch count as one';
COMMENT ON COLUMN jobq.groups.max_running IS
  'maximum number of its jobs that run at the same time; NULL: no limit';
COMMENT ON COLUMN jobq.groups.rate_limit IS
  'maximum number of its jobs that start in a rate_period; NULL: no limit';
COMMENT ON COLUMN jobq.groups.rate_period IS 'the period of rate_limit';
COMMENT ON COLUMN jobq.groups.rate_burst IS
  'maximum number of its jobs that start at once; NULL: as many as the rate allows in 20 ms';
COMMENT ON COLUMN jobq.groups.weight IS 'number of jobs that it may start in each of its turns';
COMMENT ON COLUMN jobq.groups.paused IS 'whether the group is paused: none of its jobs is started';
COMMENT ON COLUMN jobq.groups.next_at IS
  'when its next job may start; NULL: at once, or not known';
COMMENT ON COLUMN jobq.groups.why IS
  'ready, or what keeps its next job from starting; NULL: none is waiting';

COMMENT ON COLUMN jobq.limits.name IS 'name of the limit';
COMMENT ON COLUMN jobq.limits.owner IS
  'owner of the limit: this role and its members may change it, and own queues that share it';
COMMENT ON COLUMN jobq.limits.max_running IS
  'maximum number of jobs of its queues that run at the same time; NULL: no limit';
COMMENT ON COLUMN jobq.limits.max_running_per_group IS
  'maximum number of them with the same group key, over all of its queues; NULL: no limit';
COMMENT ON COLUMN jobq.limits.rate_limit IS
  'maximum number of jobs of its queues that start in a rate_period; NULL: no limit';
COMMENT ON COLUMN jobq.limits.rate_period IS 'the period of rate_limit';
COMMENT ON COLUMN jobq.limits.rate_burst IS
  'maximum number of jobs that start at once; NULL: those of 20 ms';
COMMENT ON COLUMN jobq.limits.running IS
  'number of jobs that have started under it and not ended; NULL: not counted yet since the server started';
COMMENT ON COLUMN jobq.limits.queues IS
  'queues that share it';

COMMENT ON COLUMN jobq.schedules.name IS 'name of the schedule';
COMMENT ON COLUMN jobq.schedules.owner IS 'role that runs the command, or enqueues the jobs';
COMMENT ON COLUMN jobq.schedules.queue IS
  'queue that receives the jobs; NULL: it runs a command, or the queue is not visible to you';
COMMENT ON COLUMN jobq.schedules.command IS 'SQL command to run; NULL: jobs go to a queue';
COMMENT ON COLUMN jobq.schedules.payload IS 'payload of the jobs, or $1 of the command';
COMMENT ON COLUMN jobq.schedules.cron IS 'cron expression, or @every with an interval';
COMMENT ON COLUMN jobq.schedules.timezone IS 'time zone in which the expression is interpreted';
COMMENT ON COLUMN jobq.schedules.enabled IS 'whether the schedule is enabled';
COMMENT ON COLUMN jobq.schedules.disabled_reason IS
  'why jobq disabled the schedule; NULL: it did not';
COMMENT ON COLUMN jobq.schedules.next_run IS 'when the next run is due; NULL: no more runs';
COMMENT ON COLUMN jobq.schedules.last_run IS 'due time of the last run';
COMMENT ON COLUMN jobq.schedules.last_job IS 'number of the job of the last run';
COMMENT ON COLUMN jobq.schedules.runs IS 'number of runs so far, on time or late';
COMMENT ON COLUMN jobq.schedules.missed_runs IS
  'number of runs that were missed and not caught up';
COMMENT ON COLUMN jobq.schedules.skipped_runs IS
  'number of runs skipped because the previous one had not finished';
COMMENT ON COLUMN jobq.schedules.late_runs IS 'number of runs enqueued more than a minute late';
COMMENT ON COLUMN jobq.schedules.max_runs IS
  'number of runs after which the schedule ends; NULL: no limit';
COMMENT ON COLUMN jobq.schedules.missed IS 'what happens to missed runs: skip, once or all';
COMMENT ON COLUMN jobq.schedules.catch_up_window IS
  'how late a missed run may still be started; NULL: jobq.catch_up_window';
COMMENT ON COLUMN jobq.schedules.overlap IS
  'what happens if the previous run has not finished: skip, allow, queue or cancel';
COMMENT ON COLUMN jobq.schedules.jitter IS 'maximum random delay of each run; NULL: none';
COMMENT ON COLUMN jobq.schedules.starts_at IS 'time before which no run is due; NULL: no limit';
COMMENT ON COLUMN jobq.schedules.ends_at IS 'time after which no run is due; NULL: no limit';
COMMENT ON COLUMN jobq.schedules.priority IS 'priority of the jobs; NULL: the queue''s';
COMMENT ON COLUMN jobq.schedules.max_attempts IS
  'maximum number of attempts of the jobs; NULL: the queue''s';
COMMENT ON COLUMN jobq.schedules.timeout IS
  'maximum duration of an attempt; NULL: the queue''s';
COMMENT ON COLUMN jobq.schedules.tags IS 'tags of the jobs';
COMMENT ON COLUMN jobq.schedules.keep_runs IS 'which runs are kept: all, or errors';
COMMENT ON COLUMN jobq.schedules.created_at IS 'when the schedule was created';

COMMENT ON COLUMN jobq.schedule_runs.schedule IS 'name of the schedule';
COMMENT ON COLUMN jobq.schedule_runs.slot IS 'when the run was due';
COMMENT ON COLUMN jobq.schedule_runs.last_slot IS
  'due time of the last run, if the row stands for several; NULL: a single run';
COMMENT ON COLUMN jobq.schedule_runs.runs IS 'number of runs that the row stands for';
COMMENT ON COLUMN jobq.schedule_runs.fired_at IS 'when the outcome was decided';
COMMENT ON COLUMN jobq.schedule_runs.outcome IS 'enqueued, skipped, missed or failed';
COMMENT ON COLUMN jobq.schedule_runs.late_by IS 'delay between slot and enqueueing the run';
COMMENT ON COLUMN jobq.schedule_runs.caught_up IS
  'whether the run was missed and caught up later';
COMMENT ON COLUMN jobq.schedule_runs.job IS 'number of its job';
COMMENT ON COLUMN jobq.schedule_runs.state IS 'current state of its job; NULL: no longer known';
COMMENT ON COLUMN jobq.schedule_runs.reason IS
  'why the run was skipped or failed, or who requested it';

COMMENT ON COLUMN jobq.workers.pid IS 'process ID';
COMMENT ON COLUMN jobq.workers.kind IS 'coordinator or executor';
COMMENT ON COLUMN jobq.workers.role IS 'role whose jobs the executor runs';
COMMENT ON COLUMN jobq.workers.state IS
  'starting, idle or running; for a coordinator also stopped or no free worker slot';
COMMENT ON COLUMN jobq.workers.queue IS 'queue of the job that the executor is running';
COMMENT ON COLUMN jobq.workers.job_id IS 'number of the job that the executor is running';
COMMENT ON COLUMN jobq.workers.attempt IS 'attempt that the executor is running';
COMMENT ON COLUMN jobq.workers.since IS 'when the process entered this state';

COMMENT ON COLUMN jobq.health.severity IS
  'critical: jobs or schedules do not run; warning: some do not, or soon will not; info';
COMMENT ON COLUMN jobq.health.topic IS 'kind of finding; the reference has a list';
COMMENT ON COLUMN jobq.health.object IS
  'queue, schedule, setting, session or slot concerned; NULL: the database';
COMMENT ON COLUMN jobq.health.message IS 'what is wrong';
COMMENT ON COLUMN jobq.health.hint IS 'what to do about it';
COMMENT ON COLUMN jobq.health.since IS 'when the condition began, if known';

COMMENT ON COLUMN jobq.job.id IS 'number of the job';
COMMENT ON COLUMN jobq.job.queue IS 'name of the job''s queue';
COMMENT ON COLUMN jobq.job.payload IS 'data for the handler';
COMMENT ON COLUMN jobq.job.attempt IS 'number of this attempt, from 1';
COMMENT ON COLUMN jobq.job.max_attempts IS 'number of attempts after which the job is dead';
COMMENT ON COLUMN jobq.job.lease IS
  'number to pass to complete(), fail() and so on; NULL: claimed in this transaction';
COMMENT ON COLUMN jobq.job.lease_until IS 'end of the lease; NULL: no time limit';
COMMENT ON COLUMN jobq.job.priority IS 'smaller numbers run first';
COMMENT ON COLUMN jobq.job.enqueued_at IS 'when the job was enqueued';
COMMENT ON COLUMN jobq.job.run_at IS 'earliest time at which the job may start';
COMMENT ON COLUMN jobq.job.unique_key IS 'key that is unique among the live jobs of the queue';
COMMENT ON COLUMN jobq.job.group_key IS 'group of the job within its queue; NULL: none';
COMMENT ON COLUMN jobq.job.tags IS 'tags given to enqueue()';
COMMENT ON COLUMN jobq.job.headers IS 'metadata of the job, not part of its payload';
COMMENT ON COLUMN jobq.job.progress IS 'progress last reported by heartbeat()';
