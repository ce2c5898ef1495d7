/*-------------------------------------------------------------------------
 *
 * cron_import_fuzz.c
 *	  libFuzzer target: schedules of pg_cron.
 *
 * The first byte of the input says which way to read it and how large the
 * buffer is; the rest is the schedule, which ends where a NUL is.
 *
 * IDENTIFICATION
 *	  test/fuzz/cron_import_fuzz.c
 *
 *-------------------------------------------------------------------------
 */
#include "cron.h"
#include "fuzz.h"

static int
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/*
 * If nothing but the last day is written otherwise, what is imported is the
 * text, without the spaces around it, or the beginning of it that was read.
 */
static void
check_plain(const char *text, const char *imported, size_t len, bool cut)
{
	size_t		i;

	while (is_space(*text))
		text++;
	for (i = 0; i < len; i++)
		REQUIRE(imported[i] == (text[i] == '$' ? 'L' : text[i]));
	for (text += len; is_space(*text); text++)
		;
	REQUIRE(cut == (*text != '\0'));
}

/*
 * What our parser makes of it: a schedule of pg_cron is one to the minute, or
 * an interval of less than a minute.
 */
static void
check_parsed(const char *imported, size_t len)
{
	JobqCron	cron;
	JobqCronError error;

	if (!jobq_cron_parse(imported, len, &cron, &error))
		return;
	if (strncmp(imported, "@every", 6) == 0)
		REQUIRE(cron.every > 0 && cron.every < 60);
	else
		REQUIRE(cron.seconds == 1 && cron.every == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FuzzInput	input = {data, size};
	uint8_t		how = take_byte(&input);
	bool		both = how & 1;
	char	   *text = take_string(&input, input.size);
	size_t		room = strlen(text) + JOBQ_CRON_IMPORT_MORE;
	char	   *imported = malloc(room);
	char	   *small = malloc(how / 2 + 1);
	bool		cut = !both;
	bool		cut_again = both;
	size_t		len;

	REQUIRE(imported != NULL && small != NULL);
	len = jobq_cron_import(text, both, imported, room, &cut);
	REQUIRE(len < room && strlen(imported) == len);
	REQUIRE(strchr(imported, '$') == NULL);
	if (strncmp(imported, "@every", 6) != 0 && !both)
		check_plain(text, imported, len, cut);
	check_parsed(imported, len);

	/* the same in whatever room there is */
	REQUIRE(jobq_cron_import(text, both, small, how / 2, &cut_again) == len);
	REQUIRE(cut_again == cut);
	if (how / 2 > 0)
		REQUIRE(strncmp(small, imported, how / 2 - 1) == 0 &&
				strlen(small) == (len < how / 2 ? len : how / 2 - 1U));
	free(text);
	free(imported);
	free(small);
	return 0;
}
