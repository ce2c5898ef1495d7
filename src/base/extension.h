/*-------------------------------------------------------------------------
 *
 * extension.h
 *	  Finding the extension's relations and owner, and working as that owner.
 *
 * IDENTIFICATION
 *	  src/base/extension.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_EXTENSION_H
#define JOBQ_EXTENSION_H

#include "base/schema.h"

#include "utils/relcache.h"

/* What jobq_elevate() has changed and jobq_restore() puts back. */
typedef struct JobqElevation
{
	Oid			userid;
	int			sec_context;
	int			guc_nest_level;
} JobqElevation;

extern void jobq_report_not_installed(void);
extern bool jobq_is_installed(void);
extern Oid	jobq_extension_read(bool *version_matches);
extern bool jobq_version_matches(void);
extern char *jobq_version_hint(void);
extern Oid	jobq_relation_oid(JobqRelation relation);
extern Relation jobq_relation_open(JobqRelation relation);
extern Oid	jobq_extension_owner(void);
extern bool jobq_is_administrator(Oid role);
extern bool jobq_reads_all(Oid role);
extern void jobq_pin_search_path(void);
extern void jobq_elevate(JobqElevation *elevation);
extern void jobq_restore(const JobqElevation *elevation);
extern int64 jobq_home_identifier(void);

#endif							/* JOBQ_EXTENSION_H */
