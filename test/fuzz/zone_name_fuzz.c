/*-------------------------------------------------------------------------
 *
 * zone_name_fuzz.c
 *	  libFuzzer target: texts that may be the name of a time zone.
 *
 * IDENTIFICATION
 *	  test/fuzz/zone_name_fuzz.c
 *
 *-------------------------------------------------------------------------
 */
#include <ctype.h>

#include "cron.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FuzzInput	input = {data, size};
	char	   *name = take_string(&input, size);
	size_t		len = strlen(name);
	size_t		i;

	if (!jobq_zone_name_is_sound(name))
	{
		free(name);
		return 0;
	}
	REQUIRE(len > 0 && len <= JOBQ_ZONE_NAME_MAX);
	for (i = 0; i < len; i++)
		REQUIRE(isalnum((unsigned char) name[i]) ||
				strchr("/_+-", name[i]) != NULL);

	/* Of the names with digits this is the longest. */
	if (strpbrk(name, "0123456789") != NULL)
		REQUIRE(len <= strlen("Etc/GMT+12"));

	/* upper and lower case are the same */
	for (i = 0; i < len; i++)
		name[i] = (char) toupper((unsigned char) name[i]);
	REQUIRE(jobq_zone_name_is_sound(name));
	REQUIRE(strncmp(name, "POSIX/", 6) != 0 && strncmp(name, "RIGHT/", 6) != 0);
	free(name);
	return 0;
}
