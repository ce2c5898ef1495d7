/*-------------------------------------------------------------------------
 *
 * limit.c
 *	  The limits that queues share: who may use them, locks, and what follows
 *	  from a change.
 *
 * A queue names its limit by the limit's id, in the column shared_limit.  What the
 * limit says is read, and kept, with the queue (queue_cache.c).
 *
 * IDENTIFICATION
 *	  src/queue/limit.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/limit.h"

#include "base/closest.h"
#include "base/extension.h"
#include "base/rights.h"
#include "queue/queue_list.h"
#include "queue/queue_wake.h"
#include "shared/database.h"
#include "shared/limit_state.h"
#include "shared/mark.h"
#include "shared/note.h"
#include "shared/queue_change.h"
#include "shared/wake.h"

#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"

/* Workers of a queue that are woken at once for a limit that lets in more jobs. */
#define MAX_WOKEN 64

/* ------------------------------------------------------- names and rights */

/* The most similar name among the limits that the user may change; or NULL. */
static const char *
closest_limit(const char *name)
{
	JobqClosest closest;
	ListCell   *role;
	ListCell   *lc;

	if (!jobq_closest_begin(&closest, name))
		return NULL;
	foreach(role, jobq_roles_of(GetUserId()))
	{
		foreach(lc, jobq_limit_read_owned(lfirst_oid(role)))
			jobq_closest_consider(&closest, ((JobqLimit *) lfirst(lc))->name);
	}
	return closest.name;
}

/* See limit.h. */
void
jobq_limit_report_missing(const char *name)
{
	const char *closest = closest_limit(name);

	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("limit \"%s\" does not exist", name),
			 closest != NULL ?
			 errhint("Perhaps you meant the limit \"%s\".", closest) :
			 errhint("The view jobq.limits lists those that you may see; jobq.create_limit() makes one.")));
}

/* See limit.h. */
void
jobq_limit_require(const char *name, JobqLimit *limit)
{
	if (!jobq_limit_read_name(name, limit))
		jobq_limit_report_missing(name);
}

/* See limit.h. */
bool
jobq_limit_allows(const JobqLimit *limit, Oid role)
{
	return has_privs_of_role(role, limit->owner) ||
		jobq_is_administrator(role);
}

/* A role's name as a literal of type regrole. */
static char *
role_literal(const char *name)
{
	return quote_literal_cstr(quote_identifier(name));
}

/* See limit.h. */
void
jobq_limit_check_owner(const JobqLimit *limit)
{
	AcceptInvalidationMessages();
	if (!jobq_limit_allows(limit, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of limit \"%s\"", limit->name),
				 errhint("Its owner, members of that role and superusers can do that.")));
}

/* See limit.h.  What administrators may do does not depend on the role. */
void
jobq_limit_check_new_owner(const JobqLimit *limit, Oid owner)
{
	char	   *name;

	jobq_require_set_role(owner);
	if (jobq_is_administrator(GetUserId()) ||
		jobq_may_call("create_limit", owner))
		return;
	name = GetUserNameFromId(owner, false);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to give limit \"%s\" to role \"%s\"",
					limit->name, name),
			 errdetail("That role may not create limits."),
			 errhint("A superuser can allow it that, with jobq.grant_usage(%s, may_create => true), or make it the owner.",
					 role_literal(name))));
}

/* Says what a queue's new owner lacks, or the owner of one that begins to share. */
static void
report_no_sharing(const JobqLimit *limit, Oid owner, const char *queue,
				  bool keeps)
{
	char	   *role = GetUserNameFromId(owner, false);
	char	   *name = quote_literal_cstr(limit->name);

	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for limit \"%s\"", limit->name),
			 errdetail("Role \"%s\", the owner of queue \"%s\", must be the owner of the limit, or a member of that role.",
					   role, queue),
			 keeps ?
			 errhint("First give the limit to that role with jobq.alter_limit(%s, owner => %s), or take the queue out of it with jobq.reset_queue(%s, 'shared_limit').",
					 name, role_literal(role), quote_literal_cstr(queue)) :
			 errhint("The limit's owner, or a superuser, can give it to that role with jobq.alter_limit(%s, owner => %s).",
					 name, role_literal(role))));
}

/* See limit.h. */
void
jobq_limit_check_sharing(int32 id, Oid owner, const char *queue, bool keeps)
{
	JobqLimit	limit;

	AcceptInvalidationMessages();
	if (!jobq_limit_read(id, &limit))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the limit of option \"shared_limit\" does not exist"),
				 keeps ?
				 errhint("Take the queue out of it with jobq.reset_queue(%s, 'shared_limit').",
						 quote_literal_cstr(queue)) : 0));
	if (!jobq_limit_allows(&limit, owner))
		report_no_sharing(&limit, owner, queue, keeps);
}

/* ------------------------------------------------------------------ locks */

static void
lock_limit(int32 limit, LOCKMODE mode)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId,
					   jobq_relation_oid(JOBQ_REL_LIMIT_DEF), limit, 0);
	(void) LockAcquire(&tag, mode, false, false);
}

/* See limit.h. */
void
jobq_limit_lock_shared(int32 limit)
{
	lock_limit(limit, AccessShareLock);
}

/* See limit.h. */
void
jobq_limit_lock_to_drop(int32 limit)
{
	lock_limit(limit, AccessExclusiveLock);
}

/* ---------------------------------------------------------------- changes */

/* See limit.h.  Those that were turned away are woken; the others are looked at. */
void
jobq_limit_look_now(int32 limit)
{
	JobqLimitState *state = jobq_limit_state_find(limit);

	if (state == NULL)
		return;
	jobq_limit_state_request_look(state);
	jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_LIMITS);
	jobq_queue_wake_call(state, MAX_WOKEN);
}

/* Notes of these kinds have a limit's id. */
static int32
id_of(const JobqNote *note)
{
	return *jobq_note_const_data(note, int32);
}

static void
look_at_changed(const JobqNote *note, TimestampTz now)
{
	jobq_limit_look_now(id_of(note));
}

static void
mark_changed(const JobqNote *note)
{
	jobq_mark(JOBQ_MARK_LIMIT, id_of(note));
}

static void
forget_state(const JobqNote *note, TimestampTz now)
{
	jobq_limit_state_forget(id_of(note));
}

static void
mark_dropped(const JobqNote *note)
{
	jobq_mark(JOBQ_MARK_LIMIT_GONE, id_of(note));
}

static void
forget_prepared(const JobqNote *note)
{
	jobq_limit_state_forget(id_of(note));
}

static const JobqNoteKind made_kind = {
	.abort = {[JOBQ_NOTE_WAKES] = forget_state},
	.prepare = forget_prepared
};

static const JobqNoteKind changed_kind = {
	.commit = {[JOBQ_NOTE_WAKES] = look_at_changed},
	.mark = mark_changed
};

static const JobqNoteKind dropped_kind = {
	.commit = {[JOBQ_NOTE_WAKES] = forget_state},
	.mark = mark_dropped
};

/* See limit.h. */
void
jobq_at_commit_limit_made(int32 limit, Oid owner, bool counts_groups)
{
	*jobq_note_data(jobq_note_add(&made_kind), int32) = limit;
	jobq_limit_state_new(limit, owner, counts_groups);
}

/* See limit.h. */
void
jobq_at_commit_limit_changed(int32 limit, Oid owner)
{
	jobq_at_commit_queue_changed(-limit, owner);
	*jobq_note_data(jobq_note_add(&changed_kind), int32) = limit;
}

/* See limit.h. */
void
jobq_at_commit_limit_dropped(int32 limit)
{
	*jobq_note_data(jobq_note_add(&dropped_kind), int32) = limit;
}
