/*-------------------------------------------------------------------------
 *
 * crash_directory.c
 *	  The directory of all notes of executors: reads and removes files.
 *
 * IDENTIFICATION
 *	  src/job/crash_directory.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/crash_directory.h"

#include "job/crash_file.h"

#include <sys/stat.h>

#include "common/file_perm.h"
#include "storage/fd.h"

/* See crash_directory.h. */
void
jobq_crash_directory_make(void)
{
	if (mkdir(JOBQ_NOTES_DIRECTORY, pg_dir_create_mode) != 0 && errno != EEXIST)
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not create directory \"%s\": %m", JOBQ_NOTES_DIRECTORY)));
}

/* The next entry of the directory; NULL if there is none, or if *error is not 0. */
static struct dirent *
next_entry(DIR *directory, int *error)
{
	struct dirent *result;

	errno = 0;
	result = readdir(directory);
	*error = result == NULL ? errno : 0;
	if (*error != 0)
		jobq_crash_file_complain(JOBQ_CRASH_CANNOT_LIST, JOBQ_NOTES_DIRECTORY);
	return result;
}

/*
 * Opens the directory.  If that fails, returns NULL and sets *error, unless there is no
 * such directory.
 */
static DIR *
open_directory(int *error)
{
	DIR		   *result = AllocateDir(JOBQ_NOTES_DIRECTORY);

	*error = result == NULL && errno != ENOENT ? errno : 0;
	if (*error != 0)
		jobq_crash_file_complain(JOBQ_CRASH_CANNOT_LIST, JOBQ_NOTES_DIRECTORY);
	return result;
}

/*
 * Returns the next note in a directory, with what its name says, see crash_file.h.
 * Sets *error if the directory cannot be read to its end.
 */
static bool
next_file(DIR *directory, Oid *dboid, int *slot, char *path, int *error)
{
	struct dirent *entry;

	while ((entry = next_entry(directory, error)) != NULL)
	{
		if (!jobq_crash_file_parse_name(entry->d_name, dboid, slot))
			continue;
		snprintf(path, MAXPGPATH, JOBQ_NOTES_DIRECTORY "/%s", entry->d_name);
		return true;
	}
	return false;
}

/* Of files, by the slot that next_file() returns */
#define OF_SLOTS	0x1
#define OF_ASIDE	0x2
#define OF_UNDONE	0x4

/*
 * Reads the files of some kinds; returns in *seen of which kinds there are any.  If some
 * cannot be read, *error says why, else it is 0.
 */
static List *
read_files(Oid dboid, int kinds, int *seen, int *error)
{
	List	   *notes = NIL;
	DIR		   *directory = open_directory(error);
	int			file_error = 0;
	char		path[MAXPGPATH];
	Oid			file_database;
	int			slot;

	*seen = 0;
	if (directory == NULL)
		return NIL;
	while (next_file(directory, &file_database, &slot, path, error))
	{
		int			kind = slot == JOBQ_NOTE_ASIDE ? OF_ASIDE :
		slot == JOBQ_NOTE_UNDONE ? OF_UNDONE : OF_SLOTS;

		if (file_database != dboid)
			continue;
		*seen |= kind;
		if (kinds & kind)
			notes = jobq_crash_file_add_notes(notes, path, dboid, slot, &file_error);
	}
	FreeDir(directory);
	if (*error == 0)
		*error = file_error;
	return notes;
}

/* See crash_directory.h. */
List *
jobq_crash_directory_read(Oid dboid, int *error)
{
	int			seen;

	return read_files(dboid, OF_SLOTS | OF_ASIDE, &seen, error);
}

/* See crash_directory.h. */
List *
jobq_crash_directory_read_slots(Oid dboid, bool *any_aside, int *error)
{
	int			seen;
	List	   *notes = read_files(dboid, OF_SLOTS, &seen, error);

	*any_aside = (seen & OF_ASIDE) != 0;
	return notes;
}

/* See crash_directory.h. */
List *
jobq_crash_directory_read_undone(Oid dboid, int *error)
{
	int			seen;

	return read_files(dboid, OF_UNDONE, &seen, error);
}

/* See crash_directory.h. */
void
jobq_crash_directory_prune(List *databases)
{
	int			error;
	DIR		   *directory = open_directory(&error);
	char		path[MAXPGPATH];
	Oid			dboid;
	int			slot;

	if (directory == NULL)
		return;
	while (next_file(directory, &dboid, &slot, path, &error))
	{
		if (!list_member_oid(databases, dboid))
			(void) jobq_crash_file_remove_path(path);
	}
	FreeDir(directory);
}
