/*-------------------------------------------------------------------------
 *
 * enqueue_group_rate.c
 *	  New jobs of groups, where a rate of these limits them.
 *
 * The state of the rate is the one by which starts are limited otherwise
 * (group_rate.c).  A rollback takes back what it has counted, unless others have come
 * after it.
 *
 * IDENTIFICATION
 *	  src/queue/enqueue_group_rate.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/enqueue_group_rate.h"

#include "queue/start.h"
#include "queue/start_row.h"
#include "queue/ticket.h"
#include "shared/group_rate.h"
#include "shared/note.h"
#include "shared/queue_state.h"
#include "shared/roster_pick.h"

#include "access/xact.h"
#include "utils/memutils.h"

/* Jobs of a group that a (sub)transaction has added one after the other. */
typedef struct AdmittedNote
{
	const char *group;
	JobqGcraTake take;			/* for all of them */
	int32		queue;
	bool		undone;
} AdmittedNote;

/* What is to be kept of a group. */
typedef struct KeptGroup
{
	char		name[JOBQ_GROUP_NAME_SIZE];
	JobqGcraTake take;			/* the last one */
} KeptGroup;

static void undo_from(const JobqNote *first, TimestampTz now);

static const JobqNoteKind admitted_kind = {
	.abort = {[JOBQ_NOTE_TICKETS] = undo_from}
};

/* The place of the latest note, which may be gone, or another one; what was added to it. */
static int	latest = -1;
static JobqGcraTake last_take;

/* Gives back what a note has counted, or the last part of it. */
static void
give_back(const AdmittedNote *admitted, const JobqGcraTake *take)
{
	JobqQueueState *state = jobq_queue_state_find(admitted->queue);

	if (state == NULL || !jobq_queue_state_pin(state, admitted->queue))
		return;
	(void) jobq_group_rate_give_back(state, admitted->group, take);
	jobq_queue_state_unpin(state);
}

/*
 * Rollback: undoes what all notes from this one on have counted, the latest first,
 * since only the latest of a group can be undone.
 */
static void
undo_from(const JobqNote *first, TimestampTz now)
{
	int			n;
	JobqNote   *notes = jobq_note_all(&n);

	/* the first of them has undone the others */
	if (jobq_note_const_data(first, AdmittedNote)->undone)
		return;
	for (int i = n - 1; i >= first - notes; i--)
	{
		AdmittedNote *admitted = jobq_note_data(&notes[i], AdmittedNote);

		if (notes[i].kind != &admitted_kind || admitted->undone)
			continue;
		give_back(admitted, &admitted->take);
		admitted->undone = true;
	}
}

/* The latest note, if it is of that group and level, and can be added to; else NULL. */
static AdmittedNote *
latest_note(int32 queue, const char *group)
{
	int			n;
	JobqNote   *notes = jobq_note_all(&n);
	AdmittedNote *result;

	if (latest < 0 || latest >= n || notes[latest].kind != &admitted_kind ||
		notes[latest].level != GetCurrentTransactionNestLevel())
		return NULL;
	result = jobq_note_data(&notes[latest], AdmittedNote);
	return result->queue == queue && !result->undone &&
		(group == NULL || strcmp(result->group, group) == 0) ? result : NULL;
}

/*
 * Adds what has been counted to the latest note, if that is of the group, and nobody else
 * has added jobs since.  `name` lasts as long as the transaction; does not fail.
 */
static void
note_admitted(int32 queue, const char *name, const JobqGcraTake *take)
{
	AdmittedNote *noted = latest_note(queue, name);
	int			n;

	last_take = *take;
	if (noted != NULL && jobq_gcra_is_same(noted->take.after, take->before))
	{
		noted->take.after = take->after;
		return;
	}
	noted = jobq_note_data(jobq_note_add_reserved(&admitted_kind), AdmittedNote);
	(void) jobq_note_all(&n);
	latest = n - 1;
	noted->queue = queue;
	noted->group = name;
	noted->take = *take;
}

/* See enqueue_group_rate.h.  If it was added to others, these stay counted. */
void
jobq_enqueue_group_rate_undo_last(JobqGroupAdmissions *admissions)
{
	int			n;
	AdmittedNote *noted;
	KeptGroup  *kept = NULL;

	if (!admissions->counted)
		return;
	noted = jobq_note_data(&jobq_note_all(&n)[latest], AdmittedNote);
	give_back(noted, &last_take);
	if (jobq_gcra_is_same(noted->take.before, last_take.before))
		noted->undone = true;
	noted->take.after = last_take.before;
	if (admissions->groups != NULL)
		kept = hash_search(admissions->groups, noted->group, HASH_FIND, NULL);
	if (kept != NULL)
		kept->take.after = last_take.before;
}

static void
report_no_room(const JobqQueue *queue)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("no shared memory left for the rates of groups of queue \"%s\"",
					queue->name),
			 errhint("Increase jobq.shared_memory.")));
}

/*
 * Holds a ticket that keeps the group in memory; NULL: there is no room, or a claim is
 * under way, which has led to a new job, that nothing refuses.
 */
static JobqGroup *
hold_group(const JobqQueue *queue, const char *name)
{
	JobqGroupTicket ticket = {NULL};

	if (queue->state == NULL || jobq_ticket_of_group() != NULL ||
		!jobq_queue_state_pin(queue->state, queue->id))
		return NULL;
	if (jobq_roster_visit(queue->state, name, &ticket))
		jobq_ticket_hold_group(&ticket, false);
	jobq_queue_state_unpin(queue->state);
	return ticket.group;
}

/* With a ticket of the group: counts a job.  The ticket is returned, also by an error. */
static bool
admit(const JobqQueue *queue, JobqGroup *group, const JobqGcra *rate,
	  bool force, JobqGcraTake *take)
{
	TimestampTz kept = JOBQ_NEVER;
	bool		result;

	/* once it is known, it stays so while there are tickets */
	if (jobq_rate_is_kept(rate) && !group->knows_tat)
		kept = jobq_start_row_read(queue->id, group->key.name);
	result = jobq_group_rate_admit(group, rate, kept, force, take);
	(void) jobq_ticket_put_back_group(DT_NOBEGIN);
	return result;
}

/* Notes what the call is to keep. */
static void
remember(JobqGroupAdmissions *admissions, const char *name,
		 const JobqGcraTake *take)
{
	KeptGroup  *kept;

	if (admissions->groups == NULL)
	{
		HASHCTL		info = {
			.keysize = JOBQ_GROUP_NAME_SIZE,.entrysize = sizeof(KeptGroup),
			.hcxt = CurrentMemoryContext
		};

		admissions->groups = hash_create("jobq groups of new jobs", 64, &info,
										 HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	}
	kept = hash_search(admissions->groups, name, HASH_ENTER, NULL);
	kept->take = *take;
}

/* See enqueue_group_rate.h. */
bool
jobq_enqueue_group_rate_admit(const JobqQueue *queue, const char *group,
							  bool force, JobqGroupAdmissions *admissions,
							  JobqNewJobRate *rate)
{
	const AdmittedNote *noted;
	const char *name;
	JobqGroup  *held;
	JobqGcraTake take;

	admissions->counted = false;
	if (!jobq_group_new_job_rate(queue, group, rate))
		return true;
	noted = latest_note(queue->id, group);
	name = noted != NULL ? noted->group :
		MemoryContextStrdup(TopTransactionContext, group);
	jobq_note_reserve();
	held = hold_group(queue, group);
	if (held == NULL && force)
		return true;
	if (held == NULL)
		report_no_room(queue);
	if (!admit(queue, held, &rate->gcra, force, &take))
		return false;
	note_admitted(queue->id, name, &take);
	admissions->counted = true;
	if (jobq_rate_is_kept(&rate->gcra))
		remember(admissions, name, &take);
	return true;
}

/* See enqueue_group_rate.h. */
void
jobq_enqueue_group_rate_keep(const JobqQueue *queue,
							 JobqGroupAdmissions *admissions)
{
	HASH_SEQ_STATUS status;
	KeptGroup  *kept;

	if (admissions->groups == NULL)
		return;
	hash_seq_init(&status, admissions->groups);
	while ((kept = hash_seq_search(&status)) != NULL)
		jobq_start_keep_in_group(queue->id, kept->name, &kept->take);
	hash_destroy(admissions->groups);
	admissions->groups = NULL;
}
