/*-------------------------------------------------------------------------
 *
 * extension.h
 *	  Finding the extension, its relations and its owner, and its version.
 *
 * IDENTIFICATION
 *	  src/base/extension.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_EXTENSION_H
#define JOBQ_EXTENSION_H

#include "base/schema.h"

#include "storage/lockdefs.h"
#include "utils/relcache.h"

extern void jobq_report_not_installed(void);
extern bool jobq_is_installed(void);
extern Oid	jobq_extension_oid(void);
extern Oid	jobq_extension_read(bool *version_matches);
extern bool jobq_version_matches(void);
extern char *jobq_version_hint(void);
extern Oid	jobq_relation_oid(JobqRelation relation);
extern Relation jobq_relation_open(JobqRelation relation);
extern Relation jobq_relation_open_oid(Oid relid, LOCKMODE mode);
extern uint64 jobq_relation_waits(void);
extern Oid	jobq_extension_owner(void);

#endif							/* JOBQ_EXTENSION_H */
