/*-------------------------------------------------------------------------
 *
 * textbuf.c
 *	  Append text to a buffer of fixed size.
 *
 * IDENTIFICATION
 *	  src/common/textbuf.c
 *
 *-------------------------------------------------------------------------
 */
#include "textbuf.h"

/*
 * Start an empty text in "data", which has room for "size" bytes including
 * the terminator.
 */
void
jobq_text_init(JobqTextBuf *buf, char *data, size_t size)
{
	buf->data = data;
	buf->size = size;
	buf->len = 0;
	if (size > 0)
		data[0] = '\0';
}

static void
append_char(JobqTextBuf *buf, char c)
{
	if (buf->size > 0 && buf->len < buf->size - 1)
	{
		buf->data[buf->len] = c;
		buf->data[buf->len + 1] = '\0';
	}
	buf->len++;
}

void
jobq_text_append(JobqTextBuf *buf, const char *text)
{
	while (*text != '\0')
		append_char(buf, *text++);
}

/*
 * Append a number that is not negative, with leading zeros up to "digits".
 */
void
jobq_text_append_number(JobqTextBuf *buf, int64_t number, int digits)
{
	char		reversed[20];
	int			n = 0;

	do
	{
		reversed[n++] = (char) ('0' + number % 10);
		number /= 10;
	} while (number > 0 && n < (int) sizeof(reversed));

	while (digits-- > n)
		append_char(buf, '0');
	while (n > 0)
		append_char(buf, reversed[--n]);
}

/*
 * Append a piece of the user's text.  It may be long, of any encoding and
 * cut anywhere, hence only the beginning and only printable ASCII goes
 * through.
 */
void
jobq_text_append_foreign(JobqTextBuf *buf, const char *text, size_t len)
{
	size_t		shown = len;
	size_t		i;

	if (shown > JOBQ_TEXT_FOREIGN_MAX)
		shown = JOBQ_TEXT_FOREIGN_MAX;
	for (i = 0; i < shown; i++)
		append_char(buf, text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
	if (shown < len)
		jobq_text_append(buf, "...");
}

/*
 * Append a piece of the user's text in quotes.
 */
void
jobq_text_append_quoted(JobqTextBuf *buf, const char *text, size_t len)
{
	append_char(buf, '"');
	jobq_text_append_foreign(buf, text, len);
	append_char(buf, '"');
}
