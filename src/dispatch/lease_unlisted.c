/*-------------------------------------------------------------------------
 *
 * lease_unlisted.c
 *	  Leases that are over, and for which the registry has no room.
 *
 * A lease that is over takes no more of the registry than one that lasts: its job may
 * be locked, and then it stays.  If its role has no room left, the pass over the table
 * that finds it (lease_load.c) remembers it here, in the coordinator's own memory, and
 * it is ended from here (lease.c).  Until then it counts as not listed, so that another
 * pass finds it if that fails.
 *
 * There is as much room as in the registry, and divided like that: a role has no more
 * than it leaves free.  What finds no room is left to the next pass.
 *
 * IDENTIFICATION
 *	  src/dispatch/lease_unlisted.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/lease_unlisted.h"

#include "shared/area.h"
#include "shared/clock.h"
#include "shared/lease_search.h"

#include "common/hashfn.h"
#include "utils/memutils.h"

/* Room to begin with. */
#define MIN_ROOM 1024

/* At most this number of those that could not be ended is remembered. */
#define MAX_PUT_OFF 64

typedef struct Unlisted
{
	JobqLeaseId id;
	Oid			role;
} Unlisted;

typedef struct PutOff
{
	JobqLeaseId id;
	TimestampTz until;
} PutOff;

static Unlisted *unlisted = NULL;
static long nunlisted = 0;
static long room = 0;			/* of what is allocated */
static uint32 roles[JOBQ_ROLE_COUNTERS];	/* see jobq_role_counter() */

static PutOff put_off[MAX_PUT_OFF];
static int	next_put_off = 0;

/* See lease_unlisted.h. */
void
jobq_leases_unlisted_clear(void)
{
	if (unlisted != NULL)
		pfree(unlisted);
	unlisted = NULL;
	nunlisted = 0;
	room = 0;
	memset(roles, 0, sizeof(roles));
}

/* Makes room for one more. */
static void
enlarge(void)
{
	long		wanted = Max(room * 2, MIN_ROOM);

	if (unlisted == NULL)
		unlisted = MemoryContextAllocHuge(TopMemoryContext,
										  wanted * sizeof(Unlisted));
	else
		unlisted = repalloc_huge(unlisted, wanted * sizeof(Unlisted));
	room = wanted;
}

static bool
is_put_off(const JobqLeaseId *lease)
{
	for (int i = 0; i < MAX_PUT_OFF; i++)
	{
		if (put_off[i].id.job_id == lease->job_id &&
			put_off[i].id.lease == lease->lease)
			return put_off[i].until > jobq_now();
	}
	return false;
}

/* See lease_unlisted.h. */
void
jobq_lease_unlisted_add(const JobqLeaseId *lease, Oid role)
{
	uint32	   *taken = jobq_role_counter(roles, role);

	if (*taken >= jobq_area_room(JOBQ_AREA_LEASES) - nunlisted ||
		is_put_off(lease))
		return;
	if (nunlisted >= room)
		enlarge();
	unlisted[nunlisted++] = (Unlisted)
	{
		.id = *lease,.role = role
	};
	(*taken)++;
}

/* See lease_unlisted.h. */
bool
jobq_leases_unlisted_any(void)
{
	return nunlisted > 0;
}

/* Takes one out, which the caller removes. */
static JobqLeaseId
take(const Unlisted *lease)
{
	(*jobq_role_counter(roles, lease->role))--;
	return lease->id;
}

/* See lease_unlisted.h. */
int
jobq_leases_unlisted_take(JobqLeaseId *leases, int limit)
{
	int			taken[JOBQ_LEASE_ROLE_SHARES] = {0};
	long		left = 0;
	int			n = 0;

	for (long i = 0; i < nunlisted; i++)
	{
		int		   *of_role = &taken[murmurhash32(unlisted[i].role) %
									 JOBQ_LEASE_ROLE_SHARES];

		if (n < limit && *of_role < limit / JOBQ_LEASE_LIMIT_SHARE)
		{
			(*of_role)++;
			leases[n++] = take(&unlisted[i]);
		}
		else
			unlisted[left++] = unlisted[i];
	}
	nunlisted = left;
	while (n < limit && nunlisted > 0)
		leases[n++] = take(&unlisted[--nunlisted]);
	if (nunlisted == 0)
		jobq_leases_unlisted_clear();
	return n;
}

/* See lease_unlisted.h. */
void
jobq_lease_unlisted_put_off(const JobqLeaseId *lease, TimestampTz until)
{
	put_off[next_put_off] = (PutOff)
	{
		.id = *lease,.until = until
	};
	next_put_off = (next_put_off + 1) % MAX_PUT_OFF;
}
