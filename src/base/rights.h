/*-------------------------------------------------------------------------
 *
 * rights.h
 *	  Who may do everything, who may read everything, and working as the
 *	  extension's owner.
 *
 * IDENTIFICATION
 *	  src/base/rights.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_RIGHTS_H
#define JOBQ_RIGHTS_H

/* What jobq_elevate() has changed and jobq_restore() puts back. */
typedef struct JobqElevation
{
	Oid			userid;
	int			sec_context;
	int			guc_nest_level;
} JobqElevation;

extern bool jobq_is_administrator(Oid role);

/*
 * Raises 42501, with the action in the message, unless the current user is an
 * administrator as of now.  To be called again after each wait.
 */
extern void jobq_require_administrator(const char *action);

/*
 * Raises 42501 unless the current user can SET ROLE to a role, and so may give it
 * what is the user's, and 42704 if there is no such role.
 */
extern void jobq_require_set_role(Oid role);

/*
 * Whether the current user may have code, or what it works with, run as a role: it can
 * SET ROLE to it, and is a superuser if that is one.
 */
extern bool jobq_may_run_as(Oid role);

extern bool jobq_reads_all(Oid role);

/*
 * Whether a role may call a function of schema jobq, in any of its versions.
 * grant_usage() allows that; for create_queue() and the like only with may_create.
 */
extern bool jobq_may_call(const char *function, Oid role);

extern void jobq_pin_search_path(void);
extern void jobq_elevate(JobqElevation *elevation);
extern void jobq_restore(const JobqElevation *elevation);

#endif							/* JOBQ_RIGHTS_H */
