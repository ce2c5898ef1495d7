/*-------------------------------------------------------------------------
 *
 * textbuf_fuzz.c
 *	  libFuzzer target: texts in buffers of any size.
 *
 * The input is a size and a list of things to append, which are put together
 * once more by other means, without a limit.
 *
 * IDENTIFICATION
 *	  test/fuzz/textbuf_fuzz.c
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>

#include "fuzz.h"
#include "textbuf.h"

/* no input gives a longer text */
#define WHOLE_SIZE				65536

static char whole[WHOLE_SIZE];
static size_t whole_len;

static void
add(const char *text, size_t len)
{
	REQUIRE(len < WHOLE_SIZE - whole_len);
	memcpy(whole + whole_len, text, len);
	whole_len += len;
	whole[whole_len] = '\0';
}

static void
add_foreign(const char *text, size_t len)
{
	char		shown[JOBQ_TEXT_FOREIGN_MAX];
	size_t		n = len < sizeof(shown) ? len : sizeof(shown);
	size_t		i;

	for (i = 0; i < n; i++)
		shown[i] = (unsigned char) text[i] < 0x20 ||
			(unsigned char) text[i] > 0x7E ? '?' : text[i];
	add(shown, n);
	if (len > n)
		add("...", 3);
}

/* Append one thing to the buffer, and to the whole text. */
static void
append(JobqTextBuf *buf, FuzzInput *input)
{
	uint8_t		kind = take_byte(input);
	size_t		len = take_byte(input);
	char		number_text[64];
	char	   *string;
	int64_t		number;

	switch (kind % 4)
	{
		case 0:
			string = take_string(input, len);
			jobq_text_append(buf, string);
			add(string, strlen(string));
			free(string);
			break;
		case 1:
			take(input, &number, sizeof(number));
			number &= INT64_MAX;
			jobq_text_append_number(buf, number, (int) (len % 32));
			snprintf(number_text, sizeof(number_text), "%0*" PRId64,
					 (int) (len % 32), number);
			add(number_text, strlen(number_text));
			break;
		default:
			/* these take a length, and what is in it may be a NUL */
			if (len > input->size)
				len = input->size;
			string = malloc(len > 0 ? len : 1);
			REQUIRE(string != NULL);
			take(input, string, len);
			if (kind % 4 == 2)
				jobq_text_append_foreign(buf, string, len);
			else
			{
				jobq_text_append_quoted(buf, string, len);
				add("\"", 1);
			}
			add_foreign(string, len);
			if (kind % 4 == 3)
				add("\"", 1);
			free(string);
			break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FuzzInput	input = {data, size};
	size_t		room = take_byte(&input);
	char	   *text = malloc(room > 0 ? room : 1);
	JobqTextBuf buf;

	REQUIRE(text != NULL);
	text[0] = '?';
	whole_len = 0;
	whole[0] = '\0';
	jobq_text_init(&buf, text, room);
	while (input.size > 0)
	{
		append(&buf, &input);
		REQUIRE(buf.data == text && buf.size == room);
		REQUIRE(buf.len == whole_len);
		if (room > 0)
		{
			size_t		fits = whole_len < room ? whole_len : room - 1;

			REQUIRE(memcmp(text, whole, fits) == 0 && text[fits] == '\0');
		}
		else
			REQUIRE(text[0] == '?');
	}
	free(text);
	return 0;
}
