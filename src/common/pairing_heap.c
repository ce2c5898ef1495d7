/*-------------------------------------------------------------------------
 *
 * pairing_heap.c
 *	  Pairing heaps: things in the order of a number.
 *
 * PostgreSQL's own (lib/pairingheap.h) keeps the address of a function, and
 * cannot be used in the library's unit tests.
 *
 * IDENTIFICATION
 *	  src/common/pairing_heap.c
 *
 *-------------------------------------------------------------------------
 */
#include "pairing_heap.h"

/* Makes one heap of two without siblings, each of which may be NULL. */
static JobqHeapNode *
meld(JobqHeapNode *a, JobqHeapNode *b)
{
	if (a == NULL)
		return b;
	if (b == NULL)
		return a;
	if (b->key < a->key)
	{
		JobqHeapNode *other = a;

		a = b;
		b = other;
	}
	b->next = a->child;
	b->prev = a;
	if (a->child != NULL)
		a->child->prev = b;
	a->child = b;
	return a;
}

/* Makes one heap of siblings, the first of which may be NULL: in two passes. */
static JobqHeapNode *
meld_all(JobqHeapNode *first)
{
	JobqHeapNode *pairs = NULL; /* linked by `next` */
	JobqHeapNode *result = NULL;

	while (first != NULL)
	{
		JobqHeapNode *a = first;
		JobqHeapNode *b = a->next;

		first = b != NULL ? b->next : NULL;
		a->next = NULL;
		if (b != NULL)
			b->next = NULL;
		a = meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while (pairs != NULL)
	{
		JobqHeapNode *a = pairs;

		pairs = a->next;
		a->next = NULL;
		result = meld(result, a);
	}
	return result;
}

/* The root has neither a parent nor siblings. */
static void
set_root(JobqHeap *heap, JobqHeapNode *root)
{
	heap->root = root;
	if (root == NULL)
		return;
	root->next = NULL;
	root->prev = NULL;
}

/* See pairing_heap.h. */
void
jobq_heap_add(JobqHeap *heap, JobqHeapNode *node, int64_t key)
{
	node->key = key;
	node->child = NULL;
	node->next = NULL;
	node->prev = NULL;
	set_root(heap, meld(heap->root, node));
}

/* See pairing_heap.h. */
void
jobq_heap_remove(JobqHeap *heap, JobqHeapNode *node)
{
	JobqHeapNode *children = meld_all(node->child);

	if (node == heap->root)
	{
		set_root(heap, children);
		return;
	}
	if (node->prev->child == node)
		node->prev->child = node->next;
	else
		node->prev->next = node->next;
	if (node->next != NULL)
		node->next->prev = node->prev;
	set_root(heap, meld(heap->root, children));
}
