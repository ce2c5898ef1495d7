/*-------------------------------------------------------------------------
 *
 * cron_import_test.c
 *	  Schedules of pg_cron, as cron texts of ours.
 *
 * IDENTIFICATION
 *	  test/unit/cron_import_test.c
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "check.h"
#include "cron.h"

#define COUNT(array)			((int) (sizeof(array) / sizeof((array)[0])))

static const struct
{
	const char *text;
	const char *expected;
	bool		cut;
}			cases[] = {

	/* what means the same in both */
	{"30 3 * * *", "30 3 * * *", false},
	{" \t30  3\t* *   1-5 \r\n", "30  3\t* *   1-5", false},
	{"@hourly", "@hourly", false},
	{"\n@reboot ", "@reboot", false},

	/* intervals */
	{"30 seconds", "@every 30 seconds", false},
	{"1 SECOND", "@every 1 seconds", false},
	{" 05\tSeconds ", "@every 5 seconds", false},
	{"59 second", "@every 59 seconds", false},

	/* and what is none */
	{"0 seconds", "0 seconds", false},
	{"60 seconds", "60 seconds", false},
	{"100 seconds", "100 seconds", false},
	{"5seconds", "5seconds", false},
	{"5 secondss", "5 secondss", false},
	{"5 seconds ago", "5 seconds ago", false},
	{"5 seconds\n", "5 seconds", false},
	{"-5 seconds", "-5 seconds", false},
	{"5 minutes", "5 minutes", false},
	{"5 sec", "5 sec", false},
	{"seconds", "seconds", false},

	/* the last day of a month */
	{"0 0 $ * *", "0 0 L * *", false},
	{"$ $ $,1 * $", "L L L,1 * L", false},

	/* what pg_cron does not read */
	{"0 3 * * * *", "0 3 * * *", true},
	{"0 3 * * * root reboot", "0 3 * * *", true},
	{"@daily now", "@daily", true},
	{"0 3 * *\n*", "0 3 * *", true},

	/* too little */
	{"", "", false},
	{" \t ", "", false},
	{"0 3", "0 3", false},
};

static const struct
{
	const char *text;
	const char *expected;
}			both_cases[] = {
	{"0 3 1 * 1", "0 3 1 * +1"},
	{"0 3 1 *  mon-fri", "0 3 1 *  +mon-fri"},
	{"0 3 $ * 5 x", "0 3 L * +5"},
	{"0 3 1 * *", "0 3 1 * *"},
	{"0 3 1 * */2", "0 3 1 * */2"},
	{"0 3 1 *", "0 3 1 *"},
	{"0 3 1 * ", "0 3 1 * "},
	{"@weekly", "@weekly"},
	{"7 seconds", "@every 7 seconds"},
	{"", ""},
};

static void
check_import(const char *text, bool both, const char *expected, bool cut)
{
	char		data[100];
	bool		is_cut = !cut;
	size_t		len = jobq_cron_import(text, both, data, sizeof(data), &is_cut);

	CHECK(strcmp(data, expected) == 0, "\"%s\": expected \"%s\", got \"%s\"",
		  text, expected, data);
	CHECK(len == strlen(expected), "\"%s\": length %zu", text, len);
	CHECK(len < strlen(text) + JOBQ_CRON_IMPORT_MORE,
		  "\"%s\": grows by too much", text);
	CHECK(is_cut == cut, "\"%s\": cut or not", text);
}

/*
 * A buffer that is too small gets what fits.
 */
static void
test_small_buffers(void)
{
	static const char expected[] = "0 3 L * +1";
	char		data[20];
	bool		cut;
	size_t		size;

	for (size = 0; size < sizeof(data); size++)
	{
		size_t		fits = size > sizeof(expected) ? sizeof(expected) : size;
		size_t		len;

		memset(data, '?', sizeof(data));
		len = jobq_cron_import("0 3 $ * 1", true, data, size, &cut);
		CHECK(len == strlen(expected), "size %zu: length %zu", size, len);
		CHECK(size == 0 || (strlen(data) == fits - 1 &&
							strncmp(data, expected, fits - 1) == 0),
			  "size %zu: \"%.*s\"", size, (int) sizeof(data), data);
		CHECK(data[fits] == '?', "size %zu: written behind it", size);
	}
}

int
main(void)
{
	int			i;

	for (i = 0; i < COUNT(cases); i++)
		check_import(cases[i].text, false, cases[i].expected, cases[i].cut);
	for (i = 0; i < COUNT(both_cases); i++)
		check_import(both_cases[i].text, true, both_cases[i].expected,
					 strchr(both_cases[i].text, 'x') != NULL);
	test_small_buffers();
	return check_finish();
}
