/*-------------------------------------------------------------------------
 *
 * pairing_heap.h
 *	  Pairing heaps: things in the order of a number.
 *
 * A node is part of the thing that is in the heap, so nothing is allocated.
 * Heaps may be in shared memory; callers take care of locks.
 *
 * IDENTIFICATION
 *	  src/common/pairing_heap.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_COMMON_PAIRING_HEAP_H
#define JOBQ_COMMON_PAIRING_HEAP_H

#include <stddef.h>
#include <stdint.h>

typedef struct JobqHeapNode
{
	int64_t		key;
	struct JobqHeapNode *child; /* the first one */
	struct JobqHeapNode *next;	/* sibling */
	struct JobqHeapNode *prev;	/* sibling; of a first child: the parent */
} JobqHeapNode;

typedef struct JobqHeap
{
	JobqHeapNode *root;			/* has the least key; NULL: the heap is empty */
} JobqHeap;

/* Adds a node that is in no heap, with its key. */
extern void jobq_heap_add(JobqHeap *heap, JobqHeapNode *node, int64_t key);

/* Removes a node that is in the heap. */
extern void jobq_heap_remove(JobqHeap *heap, JobqHeapNode *node);

#endif							/* JOBQ_COMMON_PAIRING_HEAP_H */
