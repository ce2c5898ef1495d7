/*-------------------------------------------------------------------------
 *
 * check.c
 *	  A counting assertion, and instants in a form that people can read.
 *
 * IDENTIFICATION
 *	  test/unit/check.c
 *
 *-------------------------------------------------------------------------
 */
#define _DEFAULT_SOURCE

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"

/* failures beyond this number are counted but not shown */
#define SHOWN_MAX				50

static long passed;
static long failed;

void
check_that(bool condition, const char *file, int line,
		   const char *format,...)
{
	va_list		args;

	if (condition)
	{
		passed++;
		return;
	}

	failed++;
	if (failed > SHOWN_MAX)
		return;
	printf("%s:%d: ", file, line);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

/*
 * Print the totals and return the program's exit status.
 */
int
check_finish(void)
{
	printf("%ld passed, %ld failed\n", passed, failed);
	return failed > 0 || passed == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int64_t
parse_instant(const char *text)
{
	struct tm	tm;
	int			year;
	int			zone = 0;
	int			offset;
	char		sign = '+';

	memset(&tm, 0, sizeof(tm));
	if (sscanf(text, "%d-%d-%d %d:%d:%d %c%d", &year, &tm.tm_mon, &tm.tm_mday,
			   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &sign, &zone) < 6)
	{
		printf("not an instant: %s\n", text);
		abort();
	}
	tm.tm_year = year - 1900;
	tm.tm_mon--;
	offset = (zone / 100) * 3600 + (zone % 100) * 60;
	return (int64_t) timegm(&tm) - (sign == '-' ? -offset : offset);
}

const char *
format_instant(int64_t instant, char *buf)
{
	struct tm	tm;
	time_t		time = (time_t) instant;

	if (gmtime_r(&time, &tm) == NULL ||
		strftime(buf, INSTANT_SIZE, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		snprintf(buf, INSTANT_SIZE, "%lld", (long long) instant);
	return buf;
}

/*
 * Return a number from 0 to limit - 1 (xorshift64*).
 */
uint32_t
random_below(uint64_t *state, uint32_t limit)
{
	if (*state == 0)
		*state = UINT64_C(0x9E3779B97F4A7C15);
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t) ((*state * UINT64_C(0x2545F4914F6CDD1D)) >> 33) % limit;
}
