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

extern bool jobq_reads_all(Oid role);
extern void jobq_pin_search_path(void);
extern void jobq_elevate(JobqElevation *elevation);
extern void jobq_restore(const JobqElevation *elevation);

#endif							/* JOBQ_RIGHTS_H */
