/*-------------------------------------------------------------------------
 *
 * queue_cache.c
 *	  The queues that a backend has looked up.
 *
 * A queue is read when it is first looked up, by id or name, and again after
 * it has changed (queue_change.c).  Missing queues are not remembered, since
 * rows not written by jobq's functions (a restored dump) are not announced.
 *
 * The result of a look-up is valid as long as the memory context that was
 * current at the time, even if the queue is changed meanwhile: the context
 * holds a pin on that version of the queue, and releases it when it is reset
 * or deleted.  An outdated version is freed with its last pin.  So memory
 * grows neither with the number of changes nor with the number of queues: if
 * there are many, those without a pin are dropped.
 *
 * With -DJOBQ_CLOBBER_QUEUES each look-up reads its queue again, and versions
 * are overwritten when they are freed, so that tests find uses of freed
 * versions.
 *
 * IDENTIFICATION
 *	  src/queue/queue_cache.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/queue_cache.h"

#include "queue/queue_id.h"
#include "shared/database.h"
#include "shared/queue_change.h"

#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

/* Minimum number of queues kept. */
#define MIN_KEPT 1024

/*
 * Longer names, such as those of some queues for run(), are not cached by
 * name.
 */
#define MAX_NAME_KEY 127

#define PINS_PER_SCOPE 8

struct PinScope;

/* The context of a queue: most fit into the first block. */
#define QUEUE_CONTEXT_SIZES 1536, ALLOCSET_SMALL_INITSIZE, ALLOCSET_SMALL_MAXSIZE

/* A version of a queue. */
typedef struct Version
{
	JobqQueue	queue;
	MemoryContext context;		/* in which all of it is */
	int			npins;
	const struct PinScope *pinned_by;	/* the latest, if it is alive */
} Version;

/*
 * Pins of the memory context in which this is allocated; a context may have
 * several of these.
 */
typedef struct PinScope
{
	MemoryContextCallback callback;
	MemoryContext context;
	dlist_node	node;
	int			npins;
	Version    *pins[PINS_PER_SCOPE];
} PinScope;

typedef struct Entry
{
	int32		id;				/* hash key */
	Version    *version;
} Entry;

typedef struct NameEntry
{
	char		name[MAX_NAME_KEY + 1]; /* hash key */
	int32		id;
} NameEntry;

static MemoryContext cache_context = NULL;
static HTAB *entries = NULL;
static HTAB *names = NULL;		/* hints: names change */
static long max_entries = MIN_KEPT;

/* The one that was looked up last, while it has an entry. */
static Version *latest = NULL;

static dlist_head scopes = DLIST_STATIC_INIT(scopes);

/* The position up to which the log of changes has been read. */
static uint64 position = 0;

static void
make_cache(void)
{
	HASHCTL		info = {0};

	if (names != NULL)
		return;
	if (cache_context == NULL)
		cache_context = AllocSetContextCreate(TopMemoryContext, "jobq queues",
											  ALLOCSET_SMALL_SIZES);
	info.hcxt = cache_context;
	if (entries == NULL)
	{
		info.keysize = sizeof(int32);
		info.entrysize = sizeof(Entry);
		entries = hash_create("jobq queues by id", 64, &info,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	info.keysize = MAX_NAME_KEY + 1;
	info.entrysize = sizeof(NameEntry);
	names = hash_create("jobq queues by name", 64, &info,
						HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
}

static bool
has_name_entry(const char *name)
{
	return names != NULL && strlen(name) <= MAX_NAME_KEY;
}

/* ----------------------------------------------------------- forgetting */

/* Frees a version that is no longer used. */
static void
free_version(Version *version)
{
	MemoryContext context = version->context;

#ifdef JOBQ_CLOBBER_QUEUES
	memset(version, 0x7f, sizeof(Version));
#endif
	MemoryContextDelete(context);
}

/*
 * Removes an entry, and frees its version if it is not used.  Like all
 * functions that forget something, it may be called in a transaction callback.
 */
static void
remove_entry(Entry *entry)
{
	Version    *version = entry->version;

	if (version == latest)
		latest = NULL;
	if (has_name_entry(version->queue.name))
		(void) hash_search(names, version->queue.name, HASH_REMOVE, NULL);
	(void) hash_search(entries, &entry->id, HASH_REMOVE, NULL);
	version->queue.cached = false;
	if (version->npins == 0)
		free_version(version);
}

/* See jobq_queue_cache_follow_forgetting(). */
static void (*forget_in_lists) (int32 queue, Oid owner) = NULL;
static void (*forget_lists) (void) = NULL;

void
jobq_queue_cache_follow_forgetting(void (*forget) (int32 queue, Oid owner),
								   void (*forget_all) (void))
{
	forget_in_lists = forget;
	forget_lists = forget_all;
}

/* Forgets the queues that share a limit. */
static void
forget_sharing(int32 limit)
{
	HASH_SEQ_STATUS status;
	Entry	   *entry;

	if (entries == NULL)
		return;
	hash_seq_init(&status, entries);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->version->queue.shared_limit == limit)
			remove_entry(entry);
	}
}

/*
 * Forgets a queue that belongs, or belonged, to the owner; or the service, if
 * the id is JOBQ_NO_QUEUE; or what a limit says, with the sign of its id changed.
 */
static void
forget_queue(int32 queue, Oid owner)
{
	Entry	   *entry = entries == NULL ? NULL :
	hash_search(entries, &queue, HASH_FIND, NULL);

	if (queue < JOBQ_NO_QUEUE)
		forget_sharing(-queue);
	else if (entry != NULL)
		remove_entry(entry);
	if (forget_in_lists != NULL)
		forget_in_lists(queue, owner);
}

/* Forgets all queues, or only unused ones. */
static void
remove_entries(bool pinned_too)
{
	HASH_SEQ_STATUS status;
	Entry	   *entry;

	if (entries == NULL)
		return;
	hash_seq_init(&status, entries);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (pinned_too || entry->version->npins == 0)
			remove_entry(entry);
	}
}

/* Forgets all queues and the service. */
void
jobq_queue_cache_forget_all(void)
{
	remove_entries(true);
	if (forget_lists != NULL)
		forget_lists();
}

/*
 * Forgets what others have changed.  Changes in progress do not matter: they
 * are not in the log yet.
 */
void
jobq_queue_cache_follow(void)
{
	JobqQueueChange changes[JOBQ_QUEUE_CHANGES];
	int			n;

	if (likely(position == pg_atomic_read_u64(&jobq_database()->nchanges)))
		return;
	n = jobq_queue_changes_read(&position, changes);
	for (int i = 0; i < n; i++)
		forget_queue(changes[i].queue, changes[i].owner);
	if (n < 0)
		jobq_queue_cache_forget_all();
}

/* ----------------------------------------------------------------- pins */

/* The memory context of a scope is reset or deleted. */
static void
release_scope(void *arg)
{
	PinScope   *scope = arg;

	dlist_delete(&scope->node);
	for (int i = 0; i < scope->npins; i++)
	{
		Version    *version = scope->pins[i];

		if (version->pinned_by == scope)
			version->pinned_by = NULL;
		if (--version->npins == 0 && !version->queue.cached)
			free_version(version);
	}
}

/* A scope of the current memory context that has room for a pin. */
static PinScope *
find_scope(void)
{
	PinScope   *scope;

	if (!dlist_is_empty(&scopes))
	{
		scope = dlist_head_element(PinScope, node, &scopes);
		if (scope->context == CurrentMemoryContext &&
			scope->npins < PINS_PER_SCOPE)
			return scope;
	}
	scope = palloc(sizeof(PinScope));
	scope->context = CurrentMemoryContext;
	scope->npins = 0;
	scope->callback.func = release_scope;
	scope->callback.arg = scope;
	MemoryContextRegisterResetCallback(CurrentMemoryContext,
									   &scope->callback);
	dlist_push_head(&scopes, &scope->node);
	return scope;
}

/* Whether the current memory context has recently pinned this version. */
static bool
is_pinned_here(const Version *version)
{
	int			tries = 8;
	dlist_iter	iter;

	if (version->pinned_by != NULL &&
		version->pinned_by->context == CurrentMemoryContext)
		return true;
	dlist_foreach(iter, &scopes)
	{
		PinScope   *scope = dlist_container(PinScope, node, iter.cur);

		if (tries-- == 0)
			break;
		if (scope->context != CurrentMemoryContext)
			continue;
		for (int i = 0; i < scope->npins; i++)
		{
			if (scope->pins[i] == version)
				return true;
		}
	}
	return false;
}

/* Keeps a version for the life of the current memory context. */
static const JobqQueue *
pin(Version *version)
{
	PinScope   *scope;

	if (is_pinned_here(version))
		return &version->queue;
	scope = find_scope();
	scope->pins[scope->npins++] = version;
	version->npins++;
	version->pinned_by = scope;
	return &version->queue;
}

/* ------------------------------------------------------------- look-ups */

/* Reads a queue; NULL if there is none.  It has no entry yet. */
static Version *
read_version(int32 id)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "jobq queue",
												  QUEUE_CONTEXT_SIZES);
	Version    *version = MemoryContextAllocZero(context, sizeof(Version));

	if (!jobq_queue_read(id, &version->queue, context))
	{
		MemoryContextDelete(context);
		return NULL;
	}
	jobq_queue_find_states(&version->queue);
	version->queue.position = position;
	version->context = context;
	return version;
}

/* Makes room for another entry. */
static void
make_room(void)
{
	long		n = hash_get_num_entries(entries);

	if (n < max_entries)
		return;
	remove_entries(false);
	n = hash_get_num_entries(entries);
	max_entries = Max(MIN_KEPT, 2 * n);
	if (hash_get_num_entries(names) > max_entries)
	{
		hash_destroy(names);
		names = NULL;
		make_cache();
	}
}

static Version *
find_version(int32 id)
{
	Entry	   *entry;

	if (likely(latest != NULL && latest->queue.id == id))
		return latest;
	entry = entries == NULL ? NULL :
		hash_search(entries, &id, HASH_FIND, NULL);
	if (entry == NULL)
		return NULL;
	latest = entry->version;
	return latest;
}

/* NULL if there is none. */
const JobqQueue *
jobq_queue_by_id(int32 id)
{
	Version    *version;
	Entry	   *entry;

	jobq_queue_cache_follow();
#ifdef JOBQ_CLOBBER_QUEUES
	forget_queue(id, InvalidOid);
#endif
	version = find_version(id);
	if (likely(version != NULL))
		return pin(version);

	version = read_version(id);
	if (version == NULL)
		return NULL;
	make_cache();
	make_room();
	entry = hash_search(entries, &id, HASH_ENTER, NULL);
	entry->version = version;
	version->queue.cached = true;
	MemoryContextSetParent(version->context, cache_context);
	return pin(version);
}

static void
remember_name(const JobqQueue *queue)
{
	NameEntry  *entry;

	if (!has_name_entry(queue->name))
		return;
	entry = hash_search(names, queue->name, HASH_ENTER, NULL);
	entry->id = queue->id;
}

/* The queue with this id, if it has that name. */
static const JobqQueue *
with_name(int32 id, const char *name)
{
	const JobqQueue *queue = jobq_queue_by_id(id);

	return queue != NULL && strcmp(queue->name, name) == 0 ? queue : NULL;
}

/* NULL if there is none. */
const JobqQueue *
jobq_queue_find(const char *name)
{
	const JobqQueue *queue = NULL;
	NameEntry  *entry = has_name_entry(name) ?
	hash_search(names, name, HASH_FIND, NULL) : NULL;
	int32		id;

	if (likely(entry != NULL))
		queue = with_name(entry->id, name);
	while (queue == NULL && (id = jobq_queue_read_name(name)) != JOBQ_NO_QUEUE)
	{
		CHECK_FOR_INTERRUPTS();
		queue = with_name(id, name);
		if (queue != NULL)
			remember_name(queue);
		else
			forget_queue(id, InvalidOid);	/* renamed, or gone */
	}
	return queue;
}

/*
 * Whether a queue that was looked up is unchanged.  False for a queue that did
 * not come from a look-up.
 */
bool
jobq_queue_cache_is_current(const JobqQueue *queue)
{
	jobq_queue_cache_follow();
	return queue->cached;
}

/* The position in the log of changes up to which the queue has not changed. */
uint64
jobq_queue_cache_position(const JobqQueue *queue)
{
	return queue->cached ? position : queue->position;
}

/* The position in the log of changes up to which all is known here. */
uint64
jobq_queue_cache_followed(void)
{
	return position;
}

/* Called once, by _PG_init. */
void
jobq_queue_cache_init(void)
{
	jobq_queue_change_follow(forget_queue, jobq_queue_cache_forget_all);
}
