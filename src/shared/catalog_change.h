/*-------------------------------------------------------------------------
 *
 * catalog_change.h
 *	  What a transaction has changed in the catalogs is known to the others
 *	  before the jobs that it tells of.
 *
 * IDENTIFICATION
 *	  src/shared/catalog_change.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CATALOG_CHANGE_H
#define JOBQ_CATALOG_CHANGE_H

extern void jobq_catalog_change_init(void);

#endif							/* JOBQ_CATALOG_CHANGE_H */
