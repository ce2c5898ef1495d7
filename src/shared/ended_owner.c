/*-------------------------------------------------------------------------
 *
 * ended_owner.c
 *	  Owners of schedules of which a job has ended.
 *
 * Shared memory has a place for each jobq_late_owner().  The first owner is
 * kept there by name, so that owners with the same place do not have each
 * other's schedules looked at; only if jobs of two of them end between two
 * looks of the coordinator, all of that place are looked at.
 *
 * IDENTIFICATION
 *	  src/shared/ended_owner.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/ended_owner.h"

#include "shared/database.h"
#include "shared/late.h"
#include "shared/mark.h"
#include "shared/note.h"
#include "shared/wake.h"

#include "access/xact.h"

/* In a place: more than one owner. */
#define SEVERAL PG_UINT32_MAX

/* Marks that stand for all owners of a place, counted down from here. */
#define MARK_OF_PLACE PG_UINT32_MAX

/* What a note has room for. */
#define NOTED_OWNERS 16

typedef struct EndedNote
{
	uint64		places;			/* a bit for each whose owners are all meant */
	int			n;
	Oid			owners[NOTED_OWNERS];
} EndedNote;

/* Whether the coordinator wants to be told: see fire_progress.c. */
static bool
is_wanted(void)
{
	pg_memory_barrier();
	return pg_atomic_read_u32(&jobq_database()->schedules_wait) != 0;
}

static void
tell_of_owner(Oid owner)
{
	pg_atomic_uint32 *place =
	&jobq_database()->ended_owner[jobq_late_owner(owner)];
	uint32		seen = InvalidOid;

	while (!pg_atomic_compare_exchange_u32(place, &seen,
										   seen == InvalidOid || seen == owner ?
										   owner : SEVERAL))
		;
}

static void
tell_of_place(int place)
{
	pg_atomic_write_u32(&jobq_database()->ended_owner[place], SEVERAL);
	pg_memory_barrier();
}

static void
tell(const JobqNote *note, TimestampTz now)
{
	const EndedNote *noted = jobq_note_const_data(note, EndedNote);

	if (!is_wanted())
		return;
	for (int i = 0; i < noted->n; i++)
		tell_of_owner(noted->owners[i]);
	for (int i = 0; i < JOBQ_LATE_OWNERS && noted->places != 0; i++)
	{
		if ((noted->places >> i) & 1)
			tell_of_place(i);
	}
	jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_SCHEDULES);
}

static void
mark(const JobqNote *note)
{
	const EndedNote *noted = jobq_note_const_data(note, EndedNote);

	for (int i = 0; i < noted->n; i++)
		jobq_mark(JOBQ_MARK_WAITING, noted->owners[i]);
	for (int i = 0; i < JOBQ_LATE_OWNERS; i++)
	{
		if ((noted->places >> i) & 1)
			jobq_mark(JOBQ_MARK_WAITING, MARK_OF_PLACE - i);
	}
}

static const JobqNoteKind ended_kind = {
	.commit = {[JOBQ_NOTE_WAKES] = tell},
	.mark = mark
};

/* The latest note if it is one of these and of this subtransaction, or a new one. */
static EndedNote *
current_note(void)
{
	int			n;
	JobqNote   *notes = jobq_note_all(&n);

	if (n > 0 && notes[n - 1].kind == &ended_kind &&
		notes[n - 1].level == GetCurrentTransactionNestLevel())
		return jobq_note_data(&notes[n - 1], EndedNote);
	return jobq_note_data(jobq_note_add(&ended_kind), EndedNote);
}

/* See ended_owner.h. */
void
jobq_at_commit_scheduled_job_end(Oid owner)
{
	EndedNote  *noted = current_note();

	for (int i = 0; i < noted->n; i++)
	{
		if (noted->owners[i] == owner)
			return;
	}
	if (noted->n < NOTED_OWNERS)
		noted->owners[noted->n++] = owner;
	else
		noted->places |= UINT64CONST(1) << jobq_late_owner(owner);
}

/* See ended_owner.h. */
void
jobq_ended_owner_act_on_mark(uint32 value)
{
	if (!is_wanted())
		return;
	if (value > MARK_OF_PLACE - JOBQ_LATE_OWNERS)
		tell_of_place(MARK_OF_PLACE - value);
	else
		tell_of_owner(value);
	jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_SCHEDULES);
}

/* See ended_owner.h. */
void
jobq_ended_owners_take(JobqEndedOwners *ended)
{
	JobqDatabase *database = jobq_database();

	ended->all = false;
	for (int i = 0; i < JOBQ_LATE_OWNERS; i++)
		ended->owner[i] = pg_atomic_exchange_u32(&database->ended_owner[i],
												 InvalidOid);
}

/* See ended_owner.h. */
bool
jobq_ended_owners_have(const JobqEndedOwners *ended, Oid owner)
{
	uint32		named = ended->owner[jobq_late_owner(owner)];

	return ended->all || named == owner || named == SEVERAL;
}
