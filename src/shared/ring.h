/*-------------------------------------------------------------------------
 *
 * ring.h
 *	  Rings of candidates: jobs in order of their keys.
 *
 * A ring is a plain value of fixed size, for shared memory; callers take care
 * of locks.  Nothing allocates or throws.
 *
 * IDENTIFICATION
 *	  src/shared/ring.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_RING_H
#define JOBQ_RING_H

#include "datatype/timestamp.h"
#include "storage/itemptr.h"

/* Candidates of a lane that are in memory at most. */
#define JOBQ_RING_SIZE 512

/* A job's place in the order of its queue and priority. */
typedef struct JobqKey
{
	TimestampTz run_at;
	int64		id;
} JobqKey;

/* A job that may be ready, and where its row is. */
typedef struct JobqCandidate
{
	JobqKey		key;
	ItemPointerData tid;
} JobqCandidate;

/* The first entry is entries[first]; those that follow wrap around. */
typedef struct JobqRing
{
	int			first;
	int			n;
	JobqCandidate entries[JOBQ_RING_SIZE];
} JobqRing;

extern const JobqKey jobq_first_key;	/* before all others */
extern const JobqKey jobq_last_key; /* after all others */

extern int	jobq_key_compare(const JobqKey *a, const JobqKey *b);
extern bool jobq_key_is_less(const JobqKey *a, const JobqKey *b);

extern JobqCandidate *jobq_ring_entry(JobqRing *ring, int i);
extern int	jobq_ring_position(JobqRing *ring, const JobqKey *key);
extern void jobq_ring_insert(JobqRing *ring, int position, const JobqKey *key,
							 const ItemPointerData *tid);
extern void jobq_ring_delete(JobqRing *ring, int position);

#endif							/* JOBQ_RING_H */
