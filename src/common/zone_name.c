/*-------------------------------------------------------------------------
 *
 * zone_name.c
 *	  Which texts may be the name of a time zone.
 *
 * The server takes more than names of the IANA database: POSIX
 * specifications, in which a misspelt name with a digit behind it is a zone of
 * its own ('XYZ+3' is three hours *west* of Greenwich), and the names of files
 * beside the zones.  These are refused here.  Whether there is a zone of a name
 * that is not is for the server to say.
 *
 * IDENTIFICATION
 *	  src/common/zone_name.c
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "cron.h"

#define DIGITS					"0123456789"
#define NAME_CHARACTERS \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" DIGITS "/_+-"

/* Does a name begin with this, upper and lower case being the same? */
static bool
begins_with(const char *name, const char *prefix)
{
	for (; *prefix != '\0'; name++, prefix++)
	{
		char		a = *name >= 'A' && *name <= 'Z' ?
		(char) (*name + 'a' - 'A') : *name;
		char		b = *prefix >= 'A' && *prefix <= 'Z' ?
		(char) (*prefix + 'a' - 'A') : *prefix;

		if (a != b)
			return false;
	}
	return true;
}

static bool
is_equal(const char *name, const char *other)
{
	return strlen(name) == strlen(other) && begins_with(name, other);
}

/* Is it one of Etc/GMT-14 to Etc/GMT+12? */
static bool
is_hours_from_greenwich(const char *name)
{
	const char *hours;
	size_t		ndigits;
	int			value;

	if (!begins_with(name, "Etc/GMT") || (name[7] != '+' && name[7] != '-'))
		return false;
	hours = name + 8;
	ndigits = strspn(hours, DIGITS);
	if (ndigits > 2 || hours[ndigits] != '\0')
		return false;
	value = ndigits < 1 ? 0 : hours[0] - '0';
	if (ndigits == 2)
		value = value * 10 + (hours[1] - '0');
	return value <= (name[7] == '+' ? 12 : 14);
}

/*
 * May the text be the name of a zone of the IANA database?  Digits are in few
 * of those names.
 */
bool
jobq_zone_name_is_sound(const char *name)
{
	static const char *const names_with_digits[] = {
		"EST5EDT", "CST6CDT", "MST7MDT", "PST8PDT", "GMT0", "GMT+0", "GMT-0",
		"Etc/GMT0"
	};
	size_t		i;

	if (name[0] == '\0' || strlen(name) > JOBQ_ZONE_NAME_MAX ||
		name[strspn(name, NAME_CHARACTERS)] != '\0')
		return false;
	if (is_equal(name, "localtime") || is_equal(name, "posixrules") ||
		begins_with(name, "posix/") || begins_with(name, "right/"))
		return false;
	if (strpbrk(name, DIGITS) == NULL)
		return true;
	for (i = 0; i < sizeof(names_with_digits) / sizeof(names_with_digits[0]);
		 i++)
	{
		if (is_equal(name, names_with_digits[i]))
			return true;
	}
	return is_hours_from_greenwich(name);
}
