/*-------------------------------------------------------------------------
 *
 * crash_directory.h
 *	  The directory of all notes of executors: reads and removes files.
 *
 * IDENTIFICATION
 *	  src/job/crash_directory.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CRASH_DIRECTORY_H
#define JOBQ_CRASH_DIRECTORY_H

#include "nodes/pg_list.h"

/* Makes it, if there is none.  Logs an error. */
extern void jobq_crash_directory_make(void);

/*
 * A list of JobqCrashNote, in the current context.  Needs a transaction.  *error is 0, or
 * says why some files, or the directory, cannot be read (errno): then there may be others.
 */
extern List *jobq_crash_directory_read(Oid dboid, int *error);

/* The same of executors' own files, and whether there are any notes put aside. */
extern List *jobq_crash_directory_read_slots(Oid dboid, bool *any_aside, int *error);

/* Only those of jobs that had finished, which the others leave out. */
extern List *jobq_crash_directory_read_undone(Oid dboid, int *error);

/* For the launcher: removes files of databases that are not in the list. */
extern void jobq_crash_directory_prune(List *databases);

#endif							/* JOBQ_CRASH_DIRECTORY_H */
