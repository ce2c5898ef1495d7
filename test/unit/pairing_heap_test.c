/*-------------------------------------------------------------------------
 *
 * pairing_heap_test.c
 *	  A pairing heap has the least key at its root, whatever is removed.
 *
 * IDENTIFICATION
 *	  test/unit/pairing_heap_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "pairing_heap.h"

#include "check.h"

#define NODES					500

static JobqHeapNode nodes[NODES];
static bool in_heap[NODES];
static JobqHeap heap;

/* The root has the least key of those in the heap, if there is any. */
static void
check_root(void)
{
	const JobqHeapNode *least = NULL;

	for (int i = 0; i < NODES; i++)
	{
		if (in_heap[i] && (least == NULL || nodes[i].key < least->key))
			least = &nodes[i];
	}
	CHECK((heap.root == NULL) == (least == NULL), "the heap is empty, or not");
	if (least != NULL && heap.root != NULL)
		CHECK(heap.root->key == least->key, "the root has %d, and the least key is %d",
			  (int) heap.root->key, (int) least->key);
}

int
main(void)
{
	uint64_t	seed = 1;

	for (int round = 0; round < 20000; round++)
	{
		int			i = (int) random_below(&seed, NODES);

		if (!in_heap[i])
			jobq_heap_add(&heap, &nodes[i], random_below(&seed, 1000));
		else
			jobq_heap_remove(&heap, &nodes[i]);
		in_heap[i] = !in_heap[i];
		check_root();
	}
	while (heap.root != NULL)
	{
		int64_t		key = heap.root->key;

		in_heap[heap.root - nodes] = false;
		jobq_heap_remove(&heap, heap.root);
		CHECK(heap.root == NULL || heap.root->key >= key,
			  "the keys do not ascend");
	}
	check_root();
	return check_finish();
}
