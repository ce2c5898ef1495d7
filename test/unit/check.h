/*-------------------------------------------------------------------------
 *
 * check.h
 *	  A counting assertion, and instants in a form that people can read.
 *
 * IDENTIFICATION
 *	  test/unit/check.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* room for the text of an instant */
#define INSTANT_SIZE			64

/* Count a check; if the condition is false, print where and the message. */
#define CHECK(condition, ...) \
	check_that((condition), __FILE__, __LINE__, __VA_ARGS__)

extern void check_that(bool condition, const char *file, int line,
					   const char *format,...)
			__attribute__((format(printf, 4, 5)));
extern int	check_finish(void);

/* "2024-03-10 03:00:00 -0400" to Unix seconds, and back in UTC */
extern int64_t parse_instant(const char *text);
extern const char *format_instant(int64_t instant, char *buf);

/* a small generator of random numbers; "state" may start as anything */
extern uint32_t random_below(uint64_t *state, uint32_t limit);

#endif							/* CHECK_H */
