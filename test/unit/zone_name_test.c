/*-------------------------------------------------------------------------
 *
 * zone_name_test.c
 *	  Which texts may be the name of a time zone.
 *
 * IDENTIFICATION
 *	  test/unit/zone_name_test.c
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "check.h"
#include "cron.h"

#define COUNT(array)			((int) (sizeof(array) / sizeof((array)[0])))

static const char *const sound[] = {
	"Europe/Rome", "europe/rome", "UTC", "utc", "GMT", "Etc/UTC",
	"America/Argentina/ComodRivadavia", "America/Port-au-Prince",
	"America/St_Johns", "EST5EDT", "est5edt", "CST6CDT", "MST7MDT", "PST8PDT",
	"GMT0", "gmt+0", "GMT-0", "Etc/GMT0", "Etc/GMT+0", "Etc/GMT-00",
	"Etc/GMT+9", "etc/gmt+12", "ETC/GMT-14", "Posix", "Rightly/So"
};

static const char *const refused[] = {
	"", "XYZ+3", "UTC+1", "+03", "03:00", "GMT+1", "EST5", "EST5EDT6",
	"EST5EDT,M3.2.0,M11.1.0", "<+03>-3", "Etc/GMT+13", "Etc/GMT-15",
	"Etc/GMT5", "Etc/GMT+100", "Etc/GMT+1h", "Etc/GMT+-1", "Etc/GMT-1/2",
	"localtime", "LocalTime", "posixrules", "posix/Europe/Rome",
	"POSIX/UTC", "right/UTC", "../etc/passwd", "Europe/Rome ", " UTC",
	"Europe\\Rome", "Europe/R\303\266m", "UTC\n", "leapseconds.list", "tzdata.zi"
};

int
main(void)
{
	char		name[JOBQ_ZONE_NAME_MAX + 2];
	int			i;

	for (i = 0; i < COUNT(sound); i++)
		CHECK(jobq_zone_name_is_sound(sound[i]), "\"%s\"", sound[i]);
	for (i = 0; i < COUNT(refused); i++)
		CHECK(!jobq_zone_name_is_sound(refused[i]), "\"%s\"", refused[i]);

	memset(name, 'x', sizeof(name));
	name[JOBQ_ZONE_NAME_MAX] = '\0';
	CHECK(jobq_zone_name_is_sound(name), "the longest name");
	name[JOBQ_ZONE_NAME_MAX] = 'x';
	name[JOBQ_ZONE_NAME_MAX + 1] = '\0';
	CHECK(!jobq_zone_name_is_sound(name), "one that is too long");
	return check_finish();
}
