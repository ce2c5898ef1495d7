/*-------------------------------------------------------------------------
 *
 * fuzz.h
 *	  What the libFuzzer targets share: a check, and values from an input.
 *
 * A target takes what it needs from the front of its input, and zeros when
 * that is used up, so that each input stands for one run.
 *
 * IDENTIFICATION
 *	  test/fuzz/fuzz.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition) \
	do { \
		if (!(condition)) \
		{ \
			fprintf(stderr, "%s:%d: violated: %s\n", __FILE__, __LINE__, \
					#condition); \
			abort(); \
		} \
	} while (0)

typedef struct FuzzInput
{
	const uint8_t *data;
	size_t		size;			/* what is left */
} FuzzInput;

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Fill a value with the next bytes. */
static inline void
take(FuzzInput *input, void *value, size_t size)
{
	size_t		n = size < input->size ? size : input->size;

	memset(value, 0, size);
	if (n > 0)
		memcpy(value, input->data, n);
	input->data += n;
	input->size -= n;
}

static inline uint8_t
take_byte(FuzzInput *input)
{
	uint8_t		value;

	take(input, &value, sizeof(value));
	return value;
}

/*
 * The next bytes, up to the number given, as a string: to be freed.  With a
 * NUL among them it is shorter.
 */
static inline char *
take_string(FuzzInput *input, size_t size)
{
	size_t		n = size < input->size ? size : input->size;
	char	   *string = malloc(n + 1);

	REQUIRE(string != NULL);
	take(input, string, n);
	string[n] = '\0';
	return string;
}

#endif							/* FUZZ_H */
