/*-------------------------------------------------------------------------
 *
 * cron_import.c
 *	  Schedules of the extension pg_cron, as cron texts of ours.
 *
 * Both take five fields, but for these: pg_cron ignores what comes behind
 * them, where a sixth field would have another meaning here; its "$" is the
 * last day of the month; and it has "30 seconds" for an interval.  What is no
 * schedule there either becomes a text that jobq_cron_parse() refuses.
 *
 * IDENTIFICATION
 *	  src/common/cron_import.c
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "cron.h"
#include "textbuf.h"

#define BLANKS					" \t"
#define SPACES					" \t\r\n"

/*
 * Return the length of a word in lower case that a text begins with, in upper
 * or lower case; 0 if it does not.
 */
static size_t
match_word(const char *text, const char *word)
{
	size_t		len;

	for (len = 0; word[len] != '\0'; len++)
	{
		char		c = text[len];

		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		if (c != word[len])
			return 0;
	}
	return len;
}

/*
 * Return n of an interval "n second" or "n seconds", from 1 to 59; 0 if the
 * text is none.
 */
static int
read_seconds(const char *text)
{
	int			seconds = 0;
	int			ndigits = 0;
	size_t		nblanks;

	text += strspn(text, BLANKS);
	for (; *text >= '0' && *text <= '9'; text++)
	{
		if (++ndigits > 2)
			return 0;
		seconds = seconds * 10 + (*text - '0');
	}
	nblanks = strspn(text, BLANKS);
	text += nblanks;
	if (ndigits == 0 || nblanks == 0 || match_word(text, "second") == 0)
		return 0;
	text += strlen("second");
	text += match_word(text, "s");
	text += strspn(text, BLANKS);
	return *text == '\0' && seconds < 60 ? seconds : 0;
}

static void
append_fields(JobqTextBuf *buf, const char *text, size_t len)
{
	size_t		i;

	for (i = 0; i < len; i++)
	{
		char		c[2] = {text[i] == '$' ? 'L' : text[i], '\0'};

		jobq_text_append(buf, c);
	}
}

/*
 * Write the cron text for a schedule of pg_cron to "data", which has room for
 * "size" bytes, and return its length; what does not fit is cut off.
 *
 * With "both", day of month and day of week must match, which a plus says
 * here.  *cut tells whether there was something that pg_cron ignores.
 */
size_t
jobq_cron_import(const char *text, bool both, char *data, size_t size,
				 bool *cut)
{
	JobqTextBuf buf;
	const char *weekday = NULL;
	const char *at;
	int			seconds = read_seconds(text);
	int			nfields;

	jobq_text_init(&buf, data, size);
	*cut = false;
	if (seconds > 0)
	{
		jobq_text_append(&buf, "@every ");
		jobq_text_append_number(&buf, seconds, 1);
		jobq_text_append(&buf, " seconds");
		return buf.len;
	}

	text += strspn(text, SPACES);
	nfields = *text == '@' ? 1 : 5;
	for (at = text; nfields > 0; nfields--)
	{
		at += strspn(at, BLANKS);
		weekday = at;			/* when the loop is through */
		at += strcspn(at, SPACES);
	}
	*cut = at[strspn(at, SPACES)] != '\0';

	append_fields(&buf, text, (size_t) (weekday - text));
	if (both && *text != '@' && weekday < at && *weekday != '*')
		jobq_text_append(&buf, "+");
	append_fields(&buf, weekday, (size_t) (at - weekday));
	return buf.len;
}
