/*-------------------------------------------------------------------------
 *
 * crash_record.c
 *	  What the notes of executors contain: records of jobs.
 *
 * IDENTIFICATION
 *	  src/job/crash_record.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/crash_record.h"

#include "access/xlog.h"

/* See crash_record.h. */
pg_crc32c
jobq_crash_record_checksum(const JobqCrashRecord *record)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, record, offsetof(JobqCrashRecord, crc));
	FIN_CRC32C(crc);
	return crc;
}

/* See crash_record.h. */
bool
jobq_crash_record_is_valid(const JobqCrashRecord *record, Oid dboid, uint64 file)
{
	return record->magic == JOBQ_CRASH_RECORD_MAGIC &&
		record->crc == jobq_crash_record_checksum(record) &&
		record->dboid == dboid && record->file == file &&
		record->timeline == GetWALInsertionTimeLine() && record->job_id != 0;
}

/* See crash_record.h. */
int
jobq_crash_records_first_running(const JobqCrashRecord *records, int n)
{
	return n > 0 ? n - 1 - records[n - 1].together : 0;
}

/* See crash_record.h. */
void
jobq_crash_record_fill_note(JobqCrashNote *note, const JobqCrashRecord *records, int n, int i,
							int slot)
{
	int			running = jobq_crash_records_first_running(records, n);

	note->slot = slot;
	note->index = i;
	note->job_id = records[i].job_id;
	note->attempt = records[i].attempt;
	note->started_at = records[i].started_at;
	note->pid = records[i].pid;
	note->ending = (JobqNoteEnding) records[i].ending;
	note->sqlerrcode = records[i].sqlerrcode;
	note->queue = records[i].queue;
	note->cause = i < running ? records[n - 1].job_id : records[i].cause;
	note->in_batch = i >= running && running < n - 1;
}

/* See crash_record.h. */
bool
jobq_crash_records_are_settled(const JobqCrashRecord *records, int n)
{
	for (int i = jobq_crash_records_first_running(records, n); i < n; i++)
	{
		if (records[i].ending != JOBQ_NOTE_SETTLED)
			return false;
	}
	return true;
}
