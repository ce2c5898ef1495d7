/*-------------------------------------------------------------------------
 *
 * group_option.c
 *	  What is said of single groups: rows of jobq_store.group_option.
 *
 * A claim reads the options of a group when it meets the group in a queue that has
 * such rows, and roster.c keeps them.  A transaction that changes a row has what is
 * kept forgotten at its commit.  In the transaction itself it has no effect: what
 * it read would be kept for others.
 *
 * IDENTIFICATION
 *	  src/queue/group_option.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/group_option.h"

#include "base/extension.h"
#include "base/table_find.h"
#include "queue/group_stop.h"
#include "queue/queue_wake.h"
#include "queue/ready.h"
#include "queue/start_row.h"
#include "shared/mark.h"
#include "shared/note.h"
#include "shared/interval.h"
#include "shared/queue_state.h"
#include "shared/rate.h"
#include "shared/roster.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* A group whose options were changed. */
typedef struct ChangeNote
{
	int32		queue;
	const char *group;
} ChangeNote;

/* The transaction of this process that has changed options last. */
static TransactionId changed_by = InvalidTransactionId;

/* At commit. */
static void
tell(const JobqNote *note, TimestampTz now)
{
	const ChangeNote *change = jobq_note_const_data(note, ChangeNote);
	JobqQueueState *state = jobq_queue_state_find(change->queue);

	if (state == NULL || !jobq_queue_state_pin(state, change->queue))
		return;
	jobq_roster_options_changed(state, change->group);
	jobq_queue_state_unpin(state);
}

/* COMMIT PREPARED has all groups read again. */
static void
mark(const JobqNote *note)
{
	jobq_mark(JOBQ_MARK_JOBS, jobq_note_const_data(note, ChangeNote)->queue);
}

static const JobqNoteKind change_kind = {
	.commit = {[JOBQ_NOTE_LANES] = tell},
	.mark = mark
};

/* See group_option.h. */
void
jobq_at_commit_group_changed(int32 queue, const char *name)
{
	const char *group = MemoryContextStrdup(TopTransactionContext, name);
	ChangeNote *change = jobq_note_data(jobq_note_add(&change_kind),
										ChangeNote);

	change->queue = queue;
	change->group = group;
	changed_by = GetTopTransactionId();
}

/* See group_option.h. */
bool
jobq_group_options_are_own(int32 queue, const char *group)
{
	int			n;
	const JobqNote *notes;

	/*
	 * of most transactions, there may be very many notes, and none is of a
	 * change
	 */
	if (!TransactionIdIsValid(changed_by) ||
		changed_by != GetTopTransactionIdIfAny())
		return false;
	notes = jobq_note_all(&n);
	for (int i = 0; i < n; i++)
	{
		const ChangeNote *change = jobq_note_const_data(&notes[i], ChangeNote);

		if (notes[i].kind == &change_kind && change->queue == queue &&
			strcmp(change->group, group) == 0)
			return true;
	}
	return false;
}

/* See group_option.h. */
void
jobq_group_option_open(JobqGroupOptionRow *row, int32 queue, const char *name)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(queue));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(name));
	row->table = jobq_table_open(JOBQ_REL_GROUP_OPTION);
	row->slot = jobq_table_slot(row->table);
	row->exists = jobq_table_read(row->table,
								  jobq_relation_oid(JOBQ_IDX_GROUP_OPTION),
								  keys, 2, row->slot);
	if (row->exists)
	{
		slot_getallattrs(row->slot);
		memcpy(row->values, row->slot->tts_values, sizeof(row->values));
		memcpy(row->nulls, row->slot->tts_isnull, sizeof(row->nulls));
		return;
	}
	memset(row->values, 0, sizeof(row->values));
	memset(row->nulls, true, sizeof(row->nulls));
	memset(row->nulls, false, Anum_group_option_paused * sizeof(bool));
	row->values[Anum_group_option_queue - 1] = Int32GetDatum(queue);
	row->values[Anum_group_option_group_key - 1] = keys[1].sk_argument;
	row->values[Anum_group_option_paused - 1] = BoolGetDatum(false);
}

/* Whether a row says anything. */
static bool
is_empty(const JobqGroupOptionRow *row)
{
	for (int i = Anum_group_option_paused; i < Natts_group_option; i++)
	{
		if (!row->nulls[i])
			return false;
	}
	return !DatumGetBool(row->values[Anum_group_option_paused - 1]);
}

/* See group_option.h. */
void
jobq_group_option_write(JobqGroupOptionRow *row)
{
	int32		queue = DatumGetInt32(row->values[Anum_group_option_queue - 1]);
	const char *name =
	TextDatumGetCString(row->values[Anum_group_option_group_key - 1]);

	if (row->exists && is_empty(row))
		jobq_table_delete(row->table, row->slot);
	else if (row->exists)
		jobq_table_update(row->table, row->slot, row->values, row->nulls);
	else if (!is_empty(row))
		jobq_table_insert(row->table, row->values, row->nulls);
	jobq_table_close(row->table);

	jobq_at_commit_group_changed(queue, name);
	jobq_at_commit_look_again(queue);
}

/* The limit, period and burst of a row that has a rate. */
static void
read_rate(const JobqGroupOptionRow *row, JobqGroupOptions *options)
{
	const Datum *values = row->values;
	const bool *nulls = row->nulls;

	options->rate_limit = nulls[Anum_group_option_rate_limit - 1] ? 0 :
		DatumGetInt32(values[Anum_group_option_rate_limit - 1]);
	options->rate_period = nulls[Anum_group_option_rate_period - 1] ?
		USECS_PER_SEC :
		jobq_interval_microseconds(DatumGetIntervalP(values[Anum_group_option_rate_period - 1]));
	options->rate_burst = nulls[Anum_group_option_rate_burst - 1] ?
		jobq_gcra_default_burst(options->rate_limit, options->rate_period) :
		DatumGetInt32(values[Anum_group_option_rate_burst - 1]);
}

/* See group_option.h; JOBQ_GCRA_BAD_LIMIT: the row has none. */
JobqGcraResult
jobq_group_rate_of_row(const JobqGroupOptionRow *row, JobqGcra *rate)
{
	JobqGroupOptions options;

	read_rate(row, &options);
	return jobq_gcra_make(rate, options.rate_limit, options.rate_period,
						  options.rate_burst);
}

/* See group_option.h. */
void
jobq_group_options_read(int32 queue, const char *name,
						JobqGroupOptions *options)
{
	JobqGroupOptionRow row;

	jobq_group_option_open(&row, queue, name);
	options->paused = DatumGetBool(row.values[Anum_group_option_paused - 1]) ||
		jobq_group_is_stopped(queue, name);
	options->max_running = row.nulls[Anum_group_option_max_running - 1] ? 0 :
		DatumGetInt32(row.values[Anum_group_option_max_running - 1]);
	read_rate(&row, options);
	options->weight = row.nulls[Anum_group_option_weight - 1] ?
		JOBQ_DEFAULT_WEIGHT :
		(int16) DatumGetInt32(row.values[Anum_group_option_weight - 1]);
	jobq_table_close(row.table);
}

/* See group_option.h. */
int
jobq_group_max_running(const JobqQueue *queue, const char *name, bool *paused)
{
	JobqGroupOptions options;

	*paused = false;
	if (!queue->has_group_options)
		return queue->max_running_per_group;
	jobq_group_options_read(queue->id, name, &options);
	*paused = options.paused;
	return options.max_running > 0 ? options.max_running :
		queue->max_running_per_group;
}

/* The rate of starts of a group with these options; false: there is none. */
static bool
find_rate(const JobqQueue *queue, const JobqGroupOptions *options,
		  JobqGcra *rate)
{
	if (queue->on_limit != JOBQ_LIMIT_WAIT)
		return false;
	if (jobq_gcra_make(rate, options->rate_limit, options->rate_period,
					   options->rate_burst) == JOBQ_GCRA_OK)
		return true;
	*rate = queue->group_rate;
	return queue->has_group_rate;
}

/* See group_option.h. */
TimestampTz
jobq_group_kept_start(const JobqQueue *queue, const char *name,
					  const JobqGroupOptions *options)
{
	JobqGcra	rate;

	return find_rate(queue, options, &rate) && jobq_rate_is_kept(&rate) ?
		jobq_start_row_read(queue->id, name) : JOBQ_NEVER;
}

/* See group_option.h. */
void
jobq_group_limits_read(const JobqQueue *queue, const char *name,
					   JobqGroupLimits *limits)
{
	JobqGroupOptions options = {.weight = JOBQ_DEFAULT_WEIGHT};

	if (queue->has_group_options)
		jobq_group_options_read(queue->id, name, &options);
	if (options.paused || jobq_group_options_are_own(queue->id, name))
		limits->max_running = 0;
	else
		limits->max_running = options.max_running > 0 ? options.max_running :
			queue->max_running_per_group;
	limits->has_rate = find_rate(queue, &options, &limits->rate);
}

/* See group_option.h. */
bool
jobq_group_new_job_rate(const JobqQueue *queue, const char *name,
						JobqNewJobRate *rate)
{
	JobqGroupOptions options = {.weight = JOBQ_DEFAULT_WEIGHT};

	if (queue->on_limit == JOBQ_LIMIT_WAIT)
		return false;
	if (queue->has_group_options)
		jobq_group_options_read(queue->id, name, &options);
	rate->limit = options.rate_limit;
	rate->period = options.rate_period;
	if (jobq_gcra_make(&rate->gcra, options.rate_limit, options.rate_period,
					   options.rate_burst) == JOBQ_GCRA_OK)
	{
		jobq_gcra_allow_force(&rate->gcra, options.rate_period);
		return true;
	}
	rate->limit = queue->group_rate_limit;
	rate->period = queue->group_rate_period;
	rate->gcra = queue->group_rate;
	return queue->admits_by_group_rate;
}
