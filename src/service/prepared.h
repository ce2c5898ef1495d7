/*-------------------------------------------------------------------------
 *
 * prepared.h
 *	  What prepared transactions have to do with jobq.
 *
 * IDENTIFICATION
 *	  src/service/prepared.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_PREPARED_H
#define JOBQ_PREPARED_H

extern bool jobq_prepared_has_written(const char *gid);

#endif							/* JOBQ_PREPARED_H */
