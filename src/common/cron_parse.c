/*-------------------------------------------------------------------------
 *
 * cron_parse.c
 *	  The grammar of cron expressions.
 *
 *	  expression = "@" macro | "@every" interval
 *				 | second minute hour day month weekday [year]
 *				 | minute hour day month weekday
 *	  field		 = ["+"] item { "," item } | "?"
 *	  item		 = "*" ["/" step] | value ["-" value] ["/" step]
 *				 | "L" | "L-" n | "$" | "LW" | value "W"		(day)
 *				 | value "L" | value "#" k						(weekday)
 *	  interval	 = number unit { number unit }
 *
 * Written by hand, one pass from left to right over a text of known length:
 * every error tells the field and the exact part of the text, and nothing
 * can run past the end.  Anything that is not listed above is an error; a
 * form that another cron knows and that was silently read as something else
 * would run jobs at the wrong time.
 *
 * IDENTIFICATION
 *	  src/common/cron_parse.c
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "cron_private.h"
#include "textbuf.h"

/* numbers are read up to here; larger ones are out of every range */
#define NUMBER_MAX				INT64_C(1000000000000)

#define FIELDS_MAX				7
#define FIELDS_MIN				5

/* What the values of a field may be. */
typedef struct FieldRule
{
	JobqCronField field;
	const char *name;
	int			min;
	int			max;
	const char *names;			/* three letters each, from name_base on */
	const char *names_hint;
	int			name_base;
} FieldRule;

/* Where in the text a field is. */
typedef struct Field
{
	size_t		start;
	size_t		end;
} Field;

/* A piece of the text and how far it has been read. */
typedef struct Parser
{
	const char *text;
	size_t		pos;
	size_t		end;
	const FieldRule *rule;
	JobqCron   *cron;
	JobqCronError *error;
} Parser;

static const FieldRule field_rules[FIELDS_MAX] = {
	{JOBQ_CRON_SECOND, "second", 0, 59, NULL, NULL, 0},
	{JOBQ_CRON_MINUTE, "minute", 0, 59, NULL, NULL, 0},
	{JOBQ_CRON_HOUR, "hour", 0, 23, NULL, NULL, 0},
	{JOBQ_CRON_DAY, "day of month", 1, 31, NULL, NULL, 0},
	{JOBQ_CRON_MONTH, "month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec",
	"JAN to DEC", 1},
	{JOBQ_CRON_WEEKDAY, "day of week", 0, 7, "sunmontuewedthufrisat",
	"SUN to SAT", 0},
	{JOBQ_CRON_YEAR, "year", JOBQ_CRON_YEAR_MIN, JOBQ_CRON_YEAR_MAX, NULL,
	NULL, 0}
};

static const FieldRule expression_rule = {
	JOBQ_CRON_EXPRESSION, "expression", 0, 0, NULL, NULL, 0
};

static const FieldRule interval_rule = {
	JOBQ_CRON_INTERVAL, "interval", 0, 0, NULL, NULL, 0
};

static const struct
{
	const char *name;
	const char *fields;
}			macros[] = {
	{"@yearly", "0 0 1 1 *"},
	{"@annually", "0 0 1 1 *"},
	{"@monthly", "0 0 1 * *"},
	{"@weekly", "0 0 * * 0"},
	{"@daily", "0 0 * * *"},
	{"@midnight", "0 0 * * *"},
	{"@hourly", "0 * * * *"}
};

static const struct
{
	const char *name;
	int64_t		seconds;
}			units[] = {
	{"s", 1}, {"sec", 1}, {"secs", 1}, {"second", 1}, {"seconds", 1},
	{"m", 60}, {"min", 60}, {"mins", 60}, {"minute", 60}, {"minutes", 60},
	{"h", 3600}, {"hr", 3600}, {"hrs", 3600}, {"hour", 3600}, {"hours", 3600},
	{"d", 86400}, {"day", 86400}, {"days", 86400},
	{"w", 604800}, {"week", 604800}, {"weeks", 604800}
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char
to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}

/*
 * Is a piece of text the given lower-case word, in any case?
 */
static bool
equals_word(const char *text, size_t len, const char *word)
{
	size_t		i;

	if (strlen(word) != len)
		return false;
	for (i = 0; i < len; i++)
	{
		if (to_lower(text[i]) != word[i])
			return false;
	}
	return true;
}

/*
 * Is the next character one of the given lower-case ones, in any case?
 */
static bool
at_char(const Parser *parser, const char *chars)
{
	char		c;

	if (parser->pos >= parser->end)
		return false;
	c = to_lower(parser->text[parser->pos]);
	return c != '\0' && strchr(chars, c) != NULL;
}

/*
 * Note where the error is and begin its message.
 */
static JobqTextBuf
begin_error(Parser *parser, size_t offset, size_t length)
{
	JobqCronError *error = parser->error;
	JobqTextBuf buf;

	error->field = parser->rule->field;
	error->name = parser->rule->name;
	error->offset = offset;
	error->length = length;
	jobq_text_init(&buf, error->message, sizeof(error->message));
	return buf;
}

/* Fail with a fixed message.  Like all fail functions it returns false. */
static bool
fail(Parser *parser, size_t offset, size_t length, const char *what)
{
	JobqTextBuf buf = begin_error(parser, offset, length);

	jobq_text_append(&buf, what);
	return false;
}

/* Fail with the offending text in quotes in front of the message. */
static bool
fail_quoting(Parser *parser, size_t offset, size_t length, const char *what)
{
	JobqTextBuf buf = begin_error(parser, offset, length);

	jobq_text_append_quoted(&buf, parser->text + offset, length);
	jobq_text_append(&buf, what);
	return false;
}

/* Fail because the number from "offset" up to here is out of range. */
static bool
fail_range(Parser *parser, size_t offset, const char *what, int min, int max)
{
	size_t		length = parser->pos - offset;
	JobqTextBuf buf = begin_error(parser, offset, length);

	jobq_text_append(&buf, what);
	jobq_text_append(&buf, " ");
	jobq_text_append_foreign(&buf, parser->text + offset, length);
	jobq_text_append(&buf, " is out of range ");
	jobq_text_append_number(&buf, min, 0);
	jobq_text_append(&buf, " to ");
	jobq_text_append_number(&buf, max, 0);
	jobq_text_append(&buf, ".");
	return false;
}

/*
 * Return where the current item ends.
 */
static size_t
skip_item(const Parser *parser)
{
	size_t		pos = parser->pos;

	while (pos < parser->end && parser->text[pos] != ',')
		pos++;
	return pos;
}

/*
 * Go over blanks and return where the next word begins.
 */
static size_t
skip_blanks(Parser *parser)
{
	while (parser->pos < parser->end && is_blank(parser->text[parser->pos]))
		parser->pos++;
	return parser->pos;
}

/*
 * Read digits.  What is larger than NUMBER_MAX comes out as NUMBER_MAX, and
 * no digits as 0.
 */
static int64_t
parse_number(Parser *parser)
{
	int64_t		number = 0;

	while (parser->pos < parser->end && is_digit(parser->text[parser->pos]))
	{
		number = number * 10 + (parser->text[parser->pos++] - '0');
		if (number > NUMBER_MAX)
			number = NUMBER_MAX;
	}
	return number;
}

/*
 * Read a number from min to max; "what" names it in messages.
 */
static bool
parse_bounded(Parser *parser, const char *what, int min, int max, int *value)
{
	size_t		start = parser->pos;
	int64_t		number;

	if (start >= parser->end || !is_digit(parser->text[start]))
	{
		size_t		end = skip_item(parser);

		if (start < end)
			return fail_quoting(parser, start, end - start,
								" is not a number.");
		return fail(parser, start, 0, "a number is missing.");
	}

	number = parse_number(parser);
	if (number < min || number > max)
		return fail_range(parser, start, what, min, max);
	*value = (int) number;
	return true;
}

/*
 * Read the name of a month or weekday, exactly three letters.  After a
 * weekday an "L" (last) may follow without a gap.
 */
static bool
parse_name(Parser *parser, int *value)
{
	const FieldRule *rule = parser->rule;
	size_t		start = parser->pos;
	size_t		length = 0;
	JobqTextBuf buf;
	int			i;

	while (start + length < parser->end &&
		   is_letter(parser->text[start + length]))
		length++;

	if (length == 3 ||
		(length == 4 && rule->field == JOBQ_CRON_WEEKDAY &&
		 to_lower(parser->text[start + 3]) == 'l'))
	{
		for (i = 0; rule->names[i] != '\0'; i += 3)
		{
			if (to_lower(parser->text[start]) == rule->names[i] &&
				to_lower(parser->text[start + 1]) == rule->names[i + 1] &&
				to_lower(parser->text[start + 2]) == rule->names[i + 2])
			{
				parser->pos += 3;
				*value = rule->name_base + i / 3;
				return true;
			}
		}
	}

	buf = begin_error(parser, start, length);
	jobq_text_append_quoted(&buf, parser->text + start, length);
	jobq_text_append(&buf, " is neither a number nor a name from ");
	jobq_text_append(&buf, rule->names_hint);
	jobq_text_append(&buf, ".");
	return false;
}

/*
 * Read a number or name of the current field.
 */
static bool
parse_value(Parser *parser, int *value)
{
	if (parser->rule->names != NULL && parser->pos < parser->end &&
		is_letter(parser->text[parser->pos]))
		return parse_name(parser, value);
	return parse_bounded(parser, "value", parser->rule->min,
						 parser->rule->max, value);
}

/*
 * Read the forms of the day of month that begin with L, and $.  *done tells
 * whether it was one.
 */
static bool
parse_day_form(Parser *parser, bool *done)
{
	int			before = 0;

	*done = parser->rule->field == JOBQ_CRON_DAY && at_char(parser, "l$");
	if (!*done)
		return true;

	if (parser->text[parser->pos++] == '$')
		parser->cron->days_from_last |= 1;
	else if (at_char(parser, "w"))
	{
		parser->pos++;
		parser->cron->days_nearest |= 1;
	}
	else if (at_char(parser, "-"))
	{
		parser->pos++;
		if (!parse_bounded(parser, "distance", 0, 30, &before))
			return false;
		parser->cron->days_from_last |= UINT32_C(1) << before;
	}
	else
		parser->cron->days_from_last |= 1;
	return true;
}

/*
 * Read what may follow a value in the two day fields: 15W, 5L, 5#2.  *done
 * tells whether it was one of these.
 */
static bool
parse_value_form(Parser *parser, int value, bool *done)
{
	JobqCron   *cron = parser->cron;
	JobqCronField field = parser->rule->field;
	int			k;

	*done = true;
	if (field == JOBQ_CRON_DAY && at_char(parser, "w"))
	{
		parser->pos++;
		cron->days_nearest |= UINT32_C(1) << value;
	}
	else if (field == JOBQ_CRON_WEEKDAY && at_char(parser, "l"))
	{
		parser->pos++;
		cron->weekdays_last |= (uint8_t) (1 << value % 7);
	}
	else if (field == JOBQ_CRON_WEEKDAY && at_char(parser, "#"))
	{
		parser->pos++;
		if (!parse_bounded(parser, "number", 1, 5, &k))
			return false;
		cron->weekdays_nth[k - 1] |= (uint8_t) (1 << value % 7);
	}
	else
		*done = false;
	return true;
}

/* Add a value of the current field to its mask. */
static void
add_value(Parser *parser, uint64_t *mask, int value)
{
	if (parser->rule->field == JOBQ_CRON_YEAR)
	{
		int			bit = value - JOBQ_CRON_YEAR_MIN;

		parser->cron->years[bit / 64] |= UINT64_C(1) << bit % 64;
	}
	else
		*mask |= UINT64_C(1) << value;
}

/*
 * Read what an item has before its step: a star, a value, a range, or a form
 * of its own (*done), which is complete.  A star leaves *low and *high alone.
 * *single: it is one value, *low.
 */
static bool
parse_span(Parser *parser, int *low, int *high, bool *single, bool *done)
{
	*single = false;
	*done = false;
	if (at_char(parser, "*"))
	{
		parser->pos++;
		return true;
	}
	if (!parse_day_form(parser, done))
		return false;
	if (!*done && (!parse_value(parser, low) ||
				   !parse_value_form(parser, *low, done)))
		return false;
	if (*done || !at_char(parser, "-"))
	{
		*single = true;
		return true;
	}
	parser->pos++;
	return parse_value(parser, high);
}

/*
 * Add every step-th value from low to high to the mask.  A range may wrap
 * around the end; Sunday is 7 at its upper end only.
 */
static void
add_range(Parser *parser, uint64_t *mask, int low, int high, int step)
{
	const FieldRule *rule = parser->rule;
	int			modulus = rule->max - rule->min + 1;
	int			value;

	if (rule->field == JOBQ_CRON_WEEKDAY && low > high)
	{
		modulus = 7;
		low %= 7;
	}
	if (high < low)
		high += modulus;
	for (value = low; value <= high; value += step)
		add_value(parser, mask, rule->min + (value - rule->min) % modulus);
}

/*
 * Read one item of a list and add its values to the mask, or to one of the
 * special sets of the expression.
 */
static bool
parse_item(Parser *parser, uint64_t *mask)
{
	const FieldRule *rule = parser->rule;
	size_t		start = parser->pos;
	size_t		end = skip_item(parser);
	int			low = rule->min;
	int			high = rule->max;
	int			step = 1;
	bool		single;
	bool		done;

	if (start == end)
		return fail(parser, start, 0, "an item of the list is empty.");
	if (!parse_span(parser, &low, &high, &single, &done))
		return false;

	if (!done && at_char(parser, "/"))
	{
		parser->pos++;
		if (!parse_bounded(parser, "step", 1,
						   rule->field == JOBQ_CRON_YEAR ?
						   rule->max - rule->min : rule->max, &step))
			return false;
	}
	else if (single)
		high = low;

	if (parser->pos < end)
		return fail_quoting(parser, parser->pos, end - parser->pos,
							" is not expected here.");
	if (done)
		return true;
	if (rule->field == JOBQ_CRON_YEAR && high < low)
		return fail_quoting(parser, start, end - start,
							" ends before it begins.");
	add_range(parser, mask, low, high, step);
	return true;
}

/*
 * Read a whole field.  *star: it starts with a star.  *plus is set if both day
 * fields have to match.
 */
static bool
parse_field(Parser *parser, uint64_t *mask, bool *star, bool *plus)
{
	JobqCronField field = parser->rule->field;
	size_t		length = parser->end - parser->pos;

	*mask = 0;
	if (at_char(parser, "?") && length == 1 &&
		(field == JOBQ_CRON_DAY || field == JOBQ_CRON_WEEKDAY))
	{
		parser->pos++;
		*mask = ALL_DAYS | 1;
		*star = true;
		return true;
	}
	if (at_char(parser, "+") &&
		(field == JOBQ_CRON_DAY || field == JOBQ_CRON_WEEKDAY))
	{
		parser->pos++;
		*plus = true;
	}

	*star = at_char(parser, "*");
	for (;;)
	{
		if (!parse_item(parser, mask))
			return false;
		if (parser->pos >= parser->end)
			return true;
		parser->pos++;
	}
}

/*
 * Find where the fields are; false unless there are five to seven.
 */
static bool
find_fields(Parser *parser, Field *fields, int *count)
{
	size_t		pos = parser->pos;
	JobqTextBuf buf;

	*count = 0;
	while (pos < parser->end && *count <= FIELDS_MAX)
	{
		fields[*count].start = pos;
		while (pos < parser->end && !is_blank(parser->text[pos]))
			pos++;
		fields[(*count)++].end = pos;
		while (pos < parser->end && is_blank(parser->text[pos]))
			pos++;
	}
	if (*count > FIELDS_MAX)
		return fail_quoting(parser, fields[FIELDS_MAX].start,
							parser->end - fields[FIELDS_MAX].start,
							" follows the last of 7 fields.");
	if (*count >= FIELDS_MIN)
		return true;

	buf = begin_error(parser, parser->pos, parser->end - parser->pos);
	jobq_text_append(&buf, "Expected 5 to 7 fields, found ");
	jobq_text_append_number(&buf, *count, 0);
	jobq_text_append(&buf, is_digit(parser->text[parser->pos]) ?
					 "; an interval is written \"@every 30 seconds\"." :
					 ".");
	return false;
}

/*
 * Store what was read of the fields, but for the years.
 */
static void
store_masks(JobqCron *cron, const uint64_t *masks)
{
	cron->seconds = masks[0];
	cron->minutes = masks[1];
	cron->hours = (uint32_t) masks[2];
	cron->days = (uint32_t) masks[3] & ALL_DAYS;
	cron->months = (uint16_t) masks[4];
	cron->weekdays = (uint8_t) ((masks[5] | masks[5] >> 7) & ALL_WEEKDAYS);
}

/*
 * Read five to seven fields.
 */
static bool
parse_fields(Parser *parser)
{
	Parser		part = *parser;
	JobqCron   *cron = parser->cron;
	Field		fields[FIELDS_MAX + 1];
	uint64_t	masks[FIELDS_MAX] = {1};
	bool		stars[FIELDS_MAX] = {false};
	bool		plus = false;
	int			count;
	int			skipped;
	int			i;

	if (!find_fields(parser, fields, &count))
		return false;

	/* five have no second, and only seven a year */
	skipped = count == FIELDS_MIN ? 1 : 0;
	cron->any_year = count < FIELDS_MAX;
	for (i = skipped; i < count + skipped; i++)
	{
		part.rule = &field_rules[i];
		part.pos = fields[i - skipped].start;
		part.end = fields[i - skipped].end;
		if (!parse_field(&part, &masks[i], &stars[i], &plus))
			return false;
	}

	store_masks(cron, masks);
	cron->fixed_time = !stars[0] && !stars[1] && !stars[2];
	cron->match_both = stars[3] || stars[5] || plus;
	if (count == FIELDS_MAX && fields[6].end - fields[6].start == 1 && stars[6])
	{
		cron->any_year = true;
		memset(cron->years, 0, sizeof(cron->years));
	}
	return true;
}

/*
 * Return the seconds of a unit of time, or 0 if there is no such unit.
 */
static int64_t
find_unit(const char *text, size_t len)
{
	size_t		i;

	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
	{
		if (equals_word(text, len, units[i].name))
			return units[i].seconds;
	}
	return 0;
}

/*
 * Read the interval of "@every".
 */
static bool
parse_interval(Parser *parser)
{
	const char *text = parser->text;
	size_t		start = parser->pos;
	int64_t		total = 0;

	parser->rule = &interval_rule;
	if (start >= parser->end)
		return fail(parser, start, 0,
					"it is missing; examples are 10s, 1h30m and 2 days.");

	while (parser->pos < parser->end)
	{
		size_t		number_start = parser->pos;
		size_t		unit_start;
		int64_t		number;
		int64_t		unit;

		number = parse_number(parser);
		unit_start = skip_blanks(parser);
		while (parser->pos < parser->end && is_letter(text[parser->pos]))
			parser->pos++;
		if (!is_digit(text[number_start]) || parser->pos == unit_start)
			return fail_quoting(parser, number_start,
								parser->end - number_start,
								" is not a number with a unit.");

		unit = find_unit(text + unit_start, parser->pos - unit_start);
		if (unit == 0)
			return fail_quoting(parser, unit_start, parser->pos - unit_start,
								" is not a unit of time.");
		total += number * unit;
		if (total > JOBQ_CRON_EVERY_MAX)
			return fail(parser, start, parser->end - start,
						"it is longer than 36525 days.");
		skip_blanks(parser);
	}

	if (total == 0)
		return fail(parser, start, parser->end - start,
					"it must be at least one second.");
	parser->cron->every = total;
	parser->cron->any_year = true;
	return true;
}

/*
 * Read an expression that begins with @.
 */
static bool
parse_macro(Parser *parser)
{
	size_t		start = parser->pos;
	const char *word = parser->text + start;
	size_t		length = 0;
	size_t		i;

	while (start + length < parser->end && !is_blank(word[length]))
		length++;
	parser->pos += length;
	skip_blanks(parser);

	if (equals_word(word, length, "@every"))
		return parse_interval(parser);
	if (equals_word(word, length, "@reboot") ||
		equals_word(word, length, "@restart"))
		return fail_quoting(parser, start, length,
							" is not supported: a schedule needs a time.");

	for (i = 0; i < sizeof(macros) / sizeof(macros[0]); i++)
	{
		if (equals_word(word, length, macros[i].name))
		{
			Parser		expansion = *parser;

			if (parser->pos < parser->end)
				return fail_quoting(parser, parser->pos,
									parser->end - parser->pos,
									" is not expected after a macro.");
			expansion.text = macros[i].fields;
			expansion.pos = 0;
			expansion.end = strlen(macros[i].fields);
			return parse_fields(&expansion);
		}
	}
	return fail_quoting(parser, start, length, " is not a known macro.");
}

/*
 * If a word is a time zone, return at which byte of it its name begins, else
 * the length of the word.  Names of months and weekdays are none, nor is
 * anything that a field may be.
 */
static size_t
zone_in_word(const char *word, size_t len)
{
	static const char *const zones[] = {
		"utc", "gmt", "cet", "cest", "est", "edt", "cst", "cdt", "mst",
		"mdt", "pst", "pdt", "bst"
	};
	size_t		letters = 0;
	size_t		i;

	if (len > 8 && equals_word(word, 8, "cron_tz="))
		return 8;
	if (len > 3 && equals_word(word, 3, "tz="))
		return 3;
	for (i = 0; i < sizeof(zones) / sizeof(zones[0]); i++)
	{
		if (equals_word(word, len, zones[i]))
			return 0;
	}
	while (letters < len && (is_letter(word[letters]) || word[letters] == '_'))
		letters++;
	if (letters >= 2 && letters + 1 < len && word[letters] == '/' &&
		is_letter(word[letters + 1]))
		return 0;
	return len;
}

/*
 * The text could not be parsed: if there is a time zone in it, that is what is
 * wrong with it.
 */
static void
find_zone(Parser *parser)
{
	size_t		pos = 0;

	while (pos < parser->end)
	{
		size_t		start = pos;
		size_t		skip;

		while (pos < parser->end && !is_blank(parser->text[pos]))
			pos++;
		skip = zone_in_word(parser->text + start, pos - start);
		if (skip < pos - start)
		{
			parser->rule = &expression_rule;
			(void) fail_quoting(parser, start, pos - start,
								" is a time zone, not part of an expression.");
			parser->error->zone_offset = start + skip;
			parser->error->zone_length = pos - start - skip;
			return;
		}
		while (pos < parser->end && is_blank(parser->text[pos]))
			pos++;
	}
}

/*
 * Parse a text of "len" bytes, which need not be terminated.
 *
 * On success fills *cron.  On failure fills *error and leaves *cron in no
 * particular state.  An expression whose dates do not exist parses; see
 * jobq_cron_is_possible().
 */
bool
jobq_cron_parse(const char *text, size_t len, JobqCron *cron,
				JobqCronError *error)
{
	Parser		parser;

	memset(cron, 0, sizeof(*cron));
	memset(error, 0, sizeof(*error));
	parser.text = text;
	parser.pos = 0;
	parser.end = len;
	parser.rule = &expression_rule;
	parser.cron = cron;
	parser.error = error;

	if (len > JOBQ_CRON_TEXT_MAX)
		return fail(&parser, JOBQ_CRON_TEXT_MAX, len - JOBQ_CRON_TEXT_MAX,
					"The expression is longer than 255 bytes.");
	while (parser.end > 0 && is_blank(text[parser.end - 1]))
		parser.end--;
	if (skip_blanks(&parser) >= parser.end)
		return fail(&parser, 0, len, "The expression is empty.");

	if (text[parser.pos] == '@' ? !parse_macro(&parser) :
		!parse_fields(&parser))
	{
		find_zone(&parser);
		return false;
	}
	cron->possible = jobq_cron_is_possible(cron);
	return true;
}
