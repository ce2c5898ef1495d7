/*-------------------------------------------------------------------------
 *
 * cron.h
 *	  Cron expressions: parsing, next and previous firing, description.
 *
 * A cron text is parsed once into a JobqCron, a flat value that can be
 * copied, kept in shared memory or thrown away; everything else works on
 * that value.  Time zones are supplied by the caller as a callback, so that
 * the same code runs on the server's zone data and in stand-alone tests.
 *
 * All instants are Unix seconds (UTC, no leap seconds) in an int64.  Nothing
 * here allocates, reads a clock, keeps state or uses the locale.
 *
 * IDENTIFICATION
 *	  src/common/cron.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_COMMON_CRON_H
#define JOBQ_COMMON_CRON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* longest accepted text, in bytes */
#define JOBQ_CRON_TEXT_MAX		255

/* a buffer of this size holds every error message and its terminator */
#define JOBQ_CRON_MESSAGE_SIZE	160

/* a buffer of this size holds every description and its terminator */
#define JOBQ_CRON_DESCRIBE_SIZE	4096

/* jobq_cron_import() lengthens a text by less than this, in bytes */
#define JOBQ_CRON_IMPORT_MORE	16

/* longest name of a time zone, in bytes */
#define JOBQ_ZONE_NAME_MAX		255

/* what the year field may say */
#define JOBQ_CRON_YEAR_MIN		1970
#define JOBQ_CRON_YEAR_MAX		2199
#define JOBQ_CRON_YEAR_WORDS	4

/* longest "@every" interval, in seconds: 100 years */
#define JOBQ_CRON_EVERY_MAX		(INT64_C(36525) * 86400)

/* firings are looked for in the range of the server's timestamps only */
#define JOBQ_CRON_TIME_MIN		INT64_C(-210866803200)
#define JOBQ_CRON_TIME_MAX		INT64_C(9224318015999)

typedef enum JobqCronField
{
	JOBQ_CRON_EXPRESSION,		/* the text as a whole */
	JOBQ_CRON_SECOND,
	JOBQ_CRON_MINUTE,
	JOBQ_CRON_HOUR,
	JOBQ_CRON_DAY,
	JOBQ_CRON_MONTH,
	JOBQ_CRON_WEEKDAY,
	JOBQ_CRON_YEAR,
	JOBQ_CRON_INTERVAL			/* what follows "@every" */
} JobqCronField;

typedef enum JobqCronResult
{
	JOBQ_CRON_OK,
	JOBQ_CRON_NEVER				/* there is no such firing */
} JobqCronResult;

/*
 * A parsed expression.  Bit n of a mask stands for the value n.
 *
 * The day of the month is the union of "days", "days_from_last" (bit n: n
 * days before the last one) and "days_nearest" (bit n: the weekday nearest
 * to day n; bit 0: the last weekday of the month).  The day of the week is
 * the union of "weekdays" (0 = Sunday), "weekdays_last" and "weekdays_nth"
 * (the first to fifth one of a month).  Bit n of the words of "years" stands
 * for the year JOBQ_CRON_YEAR_MIN + n; they are not looked at if "any_year".
 */
typedef struct JobqCron
{
	uint64_t	seconds;
	uint64_t	minutes;
	int64_t		every;			/* "@every": seconds; otherwise 0 */
	uint32_t	hours;
	uint32_t	days;
	uint32_t	days_from_last;
	uint32_t	days_nearest;
	uint16_t	months;
	uint8_t		weekdays;
	uint8_t		weekdays_last;
	uint8_t		weekdays_nth[5];
	uint64_t	years[JOBQ_CRON_YEAR_WORDS];
	bool		any_year;
	bool		match_both;		/* day and weekday must match, not either */
	bool		fixed_time;		/* no time field starts with a star */
	bool		possible;		/* as jobq_cron_is_possible() found */
} JobqCron;

/*
 * What is wrong with a text, and where.
 *
 * The offending part is that of the text as it was given; it may be empty, at
 * the place where something is missing.  The message does not repeat field
 * and place.  It is ASCII and ends with a full stop.  Where the text has a
 * time zone, which is none of its business, that is told, too.
 */
typedef struct JobqCronError
{
	JobqCronField field;
	const char *name;			/* of the field, for example "minute" */
	size_t		offset;			/* of the offending part, in bytes */
	size_t		length;			/* of the offending part, may be 0 */
	size_t		zone_offset;	/* of the name of a time zone, in bytes */
	size_t		zone_length;	/* 0: there is none */
	char		message[JOBQ_CRON_MESSAGE_SIZE];
} JobqCronError;

/*
 * A time zone.
 *
 * next_change stores in *offset_before the offset from UTC in force at the
 * instant "utc" (seconds, positive east of Greenwich, at most 24 hours
 * either way).  If the zone's data changes strictly after "utc" it stores
 * the first such instant and the offset in force from then on, and returns
 * true; otherwise it returns false.  A reported change may leave the offset
 * as it was: only a different offset matters here.
 */
typedef struct JobqZone
{
	bool		(*next_change) (void *arg, int64_t utc, int64_t *change,
								int32_t *offset_before,
								int32_t *offset_after);
	void	   *arg;
} JobqZone;

/* cron_parse.c */
extern bool jobq_cron_parse(const char *text, size_t len, JobqCron *cron,
							JobqCronError *error);

/* cron_calendar.c */
extern bool jobq_cron_is_possible(const JobqCron *cron);

/* cron_next.c */
extern JobqZone jobq_zone_fixed(int32_t offset);
extern JobqCronResult jobq_cron_next(const JobqCron *cron, int64_t after,
									 const JobqZone *zone, int64_t anchor,
									 int64_t *next);
extern JobqCronResult jobq_cron_prev(const JobqCron *cron, int64_t at,
									 const JobqZone *zone, int64_t anchor,
									 int64_t *prev);
extern int64_t jobq_cron_count(const JobqCron *cron, int64_t from, int64_t to,
							   const JobqZone *zone, int64_t anchor);

/* cron_import.c */
extern size_t jobq_cron_import(const char *text, bool both, char *data,
							   size_t size, bool *cut);

/* zone_name.c */
extern bool jobq_zone_name_is_sound(const char *name);

/* cron_describe.c */
extern size_t jobq_cron_describe(const JobqCron *cron, char *buf,
								 size_t size);

#endif							/* JOBQ_COMMON_CRON_H */
