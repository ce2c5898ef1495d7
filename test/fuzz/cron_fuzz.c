/*-------------------------------------------------------------------------
 *
 * cron_fuzz.c
 *	  libFuzzer target: cron texts, in zones with odd changes.
 *
 * The input is a cron text.  Instant, anchor and zone are drawn from a hash
 * of it, so that a crashing input is a readable text and stands alone.
 *
 * IDENTIFICATION
 *	  test/fuzz/cron_fuzz.c
 *
 *-------------------------------------------------------------------------
 */
#include "cron.h"
#include "fuzz.h"
#include "textbuf.h"

#define CHANGES_MAX				6

typedef struct FuzzZone
{
	int			count;
	int64_t		changes[CHANGES_MAX];
	int32_t		offsets[CHANGES_MAX + 1];
} FuzzZone;

static uint64_t
draw(uint64_t *state)
{
	*state += UINT64_C(0x9E3779B97F4A7C15);
	return (*state ^ *state >> 29) * UINT64_C(0xBF58476D1CE4E5B9) >> 8;
}

static bool
next_change(void *arg, int64_t utc, int64_t *change, int32_t *offset_before,
			int32_t *offset_after)
{
	const FuzzZone *zone = arg;
	int			i = 0;

	while (i < zone->count && zone->changes[i] <= utc)
		i++;
	*offset_before = zone->offsets[i];
	if (i == zone->count)
		return false;
	*change = zone->changes[i];
	*offset_after = zone->offsets[i + 1];
	return true;
}

/*
 * A few changes soon after an instant: seconds to days apart, by seconds to
 * a day.
 */
static void
make_zone(FuzzZone *zone, uint64_t *state, int64_t near)
{
	static const int32_t units[] = {1, 60, 900, 3600, 43200};
	int			i;

	zone->count = (int) (draw(state) % (CHANGES_MAX + 1));
	for (i = 0; i <= zone->count; i++)
	{
		int32_t		unit = units[draw(state) % 5];

		near += 1 + (int64_t) (draw(state) % 50) * units[draw(state) % 5];
		if (i < zone->count)
			zone->changes[i] = near;
		zone->offsets[i] = (int32_t) (draw(state) % 48 - 24) * unit;
		if (zone->offsets[i] > 86400 || zone->offsets[i] < -86400)
			zone->offsets[i] /= 24;
	}
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/*
 * Require that the field of an error is the one in which its offset lies, or
 * at the end of which.
 */
static void
check_field(const char *text, size_t size, const JobqCronError *error)
{
	int			count = 0;
	int			found = 0;
	size_t		i;

	for (i = 0; i < size; i++)
	{
		if (!is_blank(text[i]) && (i == 0 || is_blank(text[i - 1])))
			count++;
		if (i < error->offset || (i == error->offset && !is_blank(text[i])))
			found = count;
	}
	REQUIRE(count >= 5 && count <= 7);
	REQUIRE(found + (count == 5 ? 1 : 0) == (int) error->field);
}

/*
 * Require that the offending part is the one that the message is about: what
 * it shows, or the end of an item in which something is missing.
 */
static void
check_place(const char *text, size_t size, const JobqCronError *error)
{
	static const char range[] = " is out of range ";
	const char *message = error->message;
	char		shown[64];
	JobqTextBuf buf;

	REQUIRE(error->offset <= size && error->length <= size - error->offset);
	if (error->field != JOBQ_CRON_EXPRESSION &&
		error->field != JOBQ_CRON_INTERVAL)
		check_field(text, size, error);

	jobq_text_init(&buf, shown, sizeof(shown));
	if (message[0] == '"')
	{
		jobq_text_append_quoted(&buf, text + error->offset, error->length);
		REQUIRE(error->length > 0);
		REQUIRE(strncmp(message, shown, buf.len) == 0);
	}
	else if (strstr(message, range) != NULL)
	{
		jobq_text_append(&buf, " ");
		jobq_text_append_foreign(&buf, text + error->offset, error->length);
		jobq_text_append(&buf, range);
		REQUIRE(error->length > 0);
		REQUIRE(strstr(message, shown) == strchr(message, ' '));
	}
	else if (error->length == 0)
		REQUIRE(error->offset == size || text[error->offset] == ',' ||
				is_blank(text[error->offset]));
	else
		REQUIRE(error->field == JOBQ_CRON_EXPRESSION ||
				error->field == JOBQ_CRON_INTERVAL);
}

static void
check_error(const char *text, size_t size, const JobqCronError *error)
{
	size_t		len = strlen(error->message);
	size_t		i;

	REQUIRE(error->name != NULL);
	check_place(text, size, error);
	REQUIRE(len > 0 && len < sizeof(error->message) - 1);
	REQUIRE(error->message[len - 1] == '.');
	for (i = 0; i < len; i++)
		REQUIRE(error->message[i] >= ' ' && error->message[i] <= '~');
}

static void
check_description(const JobqCron *cron)
{
	static char buf[JOBQ_CRON_DESCRIBE_SIZE];
	size_t		len = jobq_cron_describe(cron, buf, sizeof(buf));

	REQUIRE(len > 0 && len < sizeof(buf));
	REQUIRE(strlen(buf) == len);
	REQUIRE(strncmp(buf, "every", 5) == 0 || strncmp(buf, "at ", 3) == 0);
	REQUIRE(buf[len - 1] != ' ' && buf[len - 1] != ',');
	REQUIRE(strstr(buf, "  ") == NULL && strstr(buf, ", ,") == NULL);
}

static void
check_firings(const JobqCron *cron, const JobqZone *zone, int64_t at,
			  int64_t anchor)
{
	int64_t		next;
	int64_t		prev;
	int			i;

	for (i = 0; i < 5; i++)
	{
		if (jobq_cron_next(cron, at, zone, anchor, &next) != JOBQ_CRON_OK)
		{
			REQUIRE(!cron->possible || !cron->fixed_time || !cron->any_year ||
					cron->every > 0 || at > JOBQ_CRON_TIME_MAX - 400 *
					INT64_C(31556952));
			break;
		}
		REQUIRE(cron->possible);
		REQUIRE(next > at);
		REQUIRE(next >= JOBQ_CRON_TIME_MIN && next <= JOBQ_CRON_TIME_MAX);
		REQUIRE(jobq_cron_prev(cron, next, zone, anchor, &prev) ==
				JOBQ_CRON_OK && prev == next);
		if (jobq_cron_prev(cron, next - 1, zone, anchor, &prev) ==
			JOBQ_CRON_OK)
			REQUIRE(prev <= at);
		at = next;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;
	uint64_t	state = 1469598103934665603u;
	JobqCron	cron;
	JobqCronError error;
	JobqZone	zone;
	FuzzZone	changes;
	int64_t		at;
	int64_t		anchor;
	size_t		i;

	for (i = 0; i < size; i++)
		state = (state ^ data[i]) * 1099511628211u;

	if (!jobq_cron_parse(text, size, &cron, &error))
	{
		check_error(text, size, &error);
		return 0;
	}
	REQUIRE(size <= JOBQ_CRON_TEXT_MAX);
	REQUIRE(cron.possible == jobq_cron_is_possible(&cron));
	check_description(&cron);

	/* mostly in our days, sometimes anywhere */
	at = (int64_t) (draw(&state) % INT64_C(4000000000));
	if (draw(&state) % 8 == 0)
		at = (int64_t) (draw(&state) << 8 ^ draw(&state)) >>
			draw(&state) % 40;
	anchor = draw(&state) % 4 > 0 ? at - (int64_t) (draw(&state) % 100000) :
		(int64_t) (draw(&state) << 8);
	if (at < JOBQ_CRON_TIME_MIN * 2 || at > JOBQ_CRON_TIME_MAX * 2)
	{
		check_firings(&cron, NULL, at, anchor);
		return 0;
	}

	make_zone(&changes, &state, at - 86400);
	zone.next_change = next_change;
	zone.arg = &changes;
	check_firings(&cron, &zone, at, anchor);
	return 0;
}
