/*-------------------------------------------------------------------------
 *
 * cron_parse_test.c
 *	  The grammar: every accepted form, and every error with its place.
 *
 * IDENTIFICATION
 *	  test/unit/cron_parse_test.c
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "check.h"
#include "cron.h"

#define COUNT(array)			(sizeof(array) / sizeof((array)[0]))

/*
 * Texts that must parse to the same value, the plain one first.
 */
static const char *const equal_texts[][2] = {
	/* white space, zeros, case */
	{"5 4 3 2 1", " \t5  4\t3 2\t \t1  "},
	{"5 4 3 2 1", "05 0004 03 02 01"},
	{"0 0 * jan sun", "0 0 * JAN Sun"},
	{"5 4 3 2 1", "0 5 4 3 2 1"},
	{"0 0 l * *", "0 0 L * *"},
	{"0 0 lw,15w * *", "0 0 LW,15W * *"},

	/* years */
	{"5 4 3 2 1", "0 5 4 3 2 1 *"},
	{"0 0 0 1 1 * 2030,2031,2032", "0 0 0 1 1 * 2030-2032"},
	{"0 0 0 1 1 * 2030,2033", "0 0 0 1 1 * 2030-2035/3"},
	{"0 0 0 1 1 * 2190/4", "0 0 0 1 1 * 2190,2194,2198"},
	{"0 0 0 1 1 * 1970/100", "0 0 0 1 1 * */100"},
	{"0 0 0 1 1 * 02030", "0 0 0 1 1 * 2030,2030"},

	/* both days */
	{"0 0 +13 * 5", "0 0 13 * +5"},
	{"0 0 +13 * 5", "0 0 +13 * +5"},
	{"0 0 +L-2,15W * 1", "0 0 L-2,15W * +1"},

	/* names */
	{"0 0 * 1,2,3,4,5,6,7,8,9,10,11,12 1",
	"0 0 * jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec 1"},
	{"0 0 1 1 0,1,2,3,4,5,6", "0 0 1 1 sun,mon,tue,wed,thu,fri,sat"},
	{"0 0 1 1 1-5", "0 0 1 1 mon-fri"},
	{"0 0 1 1 1-5", "0 0 1 1 mon-5"},
	{"0 0 1 3-5 1", "0 0 1 mar-may 1"},

	/* Sunday */
	{"0 0 1 1 0", "0 0 1 1 7"},
	{"0 0 1 1 5,6,0", "0 0 1 1 5-7"},
	{"0 0 1 1 0,1,2,3,4,5,6", "0 0 1 1 0-7"},
	{"0 0 1 1 0,1,2,3,4,5,6", "0 0 1 1 1-7"},
	{"0 0 1 1 0,1,2", "0 0 1 1 7-2"},
	{"0 0 1 1 0", "0 0 1 1 7-0"},
	{"0 0 1 1 0", "0 0 1 1 7-7"},
	{"0 0 1 1 0l,0#2", "0 0 1 1 7L,7#2"},
	{"0 0 1 1 5,6,0", "0 0 1 1 fri-sun"},
	{"0 0 1 1 6,0", "0 0 1 1 sat-sun"},

	/* ranges, steps, lists */
	{"0,15,30,45 * * * *", "0-59/15 * * * *"},
	{"5,20,35,50 * * * *", "5/15 * * * *"},
	{"10,13,16 * * * *", "10-16/3 * * * *"},
	{"10,13,16 * * * *", "10-18/3 * * * *"},
	{"1,2,3,10 * * * *", "10,1-3 * * * *"},
	{"5 * * * *", "5,5,5-5 * * * *"},
	{"59 * * * *", "59/59 * * * *"},
	{"0 0,12 1,31 1 1", "0 0,12/23 1-31/30 1 1"},
	{"0 0 1 1,12 0", "0 0 1 1/11 0/7"},
	{"0 0 1 1 1,3,5,0", "0 0 1 1 1/2"},

	/* ranges that wrap around */
	{"0 22,23,0,1,2 * * *", "0 22-2 * * *"},
	{"0 22,0,2 * * *", "0 22-2/2 * * *"},
	{"50,57,4 * * * *", "50-5/7 * * * *"},
	{"0 0 28,29,30,31,1,2 * *", "0 0 28-2 * *"},
	{"0 0 1 11,12,1,2 1", "0 0 1 nov-feb 1"},
	{"0 0 1 1 5,6,0,1", "0 0 1 1 fri-mon"},
	{"0 0 1 1 6,1", "0 0 1 1 6-1/2"},

	/* question marks and other crons' spellings */
	{"0 0 * * *", "0 0 ? * ?"},
	{"0 0 1 * *", "0 0 1 * ?"},
	{"0 0 L * *", "0 0 $ * *"},
	{"0 0 L * *", "0 0 L-0 * *"},
	{"0 0 1,L * *", "0 0 $,1 * *"},

	/* macros */
	{"0 0 1 1 *", "@yearly"},
	{"0 0 1 1 *", "@annually"},
	{"0 0 1 * *", "@monthly"},
	{"0 0 * * 0", "@weekly"},
	{"0 0 * * *", "@daily"},
	{"0 0 * * *", " @midnight\t"},
	{"0 * * * *", "@HOURLY"},

	/* intervals */
	{"@every 90s", "@every 1m30s"},
	{"@every 90s", "@every 90 seconds"},
	{"@every 90s", "@every 1 minute 30 sec"},
	{"@every 90s", "@every 1min 30 secs"},
	{"@every 90s", " @EVERY\t1 Minute30 SECOND "},
	{"@every 5400s", "@every 1h30m"},
	{"@every 5400s", "@every 1 hour 30 mins"},
	{"@every 7200s", "@every 2 hrs"},
	{"@every 7200s", "@every 1 hr 1 hours"},
	{"@every 172800s", "@every 2 days"},
	{"@every 1d", "@every 1 day"},
	{"@every 7d", "@every 1w"},
	{"@every 14d", "@every 1 week 1 weeks"},
	{"@every 120s", "@every 2 minutes"},
	{"@every 876600h", "@every 36525 days"}
};

/* Texts that parse but mean different things. */
static const char *const different_texts[][2] = {
	{"* * * * *", "* * * * * *"},
	{"*/2 1 * * *", "0-59/2 1 * * *"},
	{"0 0 */2 * 1", "0 0 1-31/2 * 1"},
	{"0 0 ? * 1", "0 0 1-31 * 1"},
	{"0 0 1-7 * mon", "0 0 1-7 * +mon"},
	{"0 0 1 * 1", "0 0 1 * 1#1"},
	{"0 0 1 * 1L", "0 0 1 * 1#5"},
	{"0 0 L * *", "0 0 LW * *"},
	{"0 0 L * *", "0 0 L-1 * *"},
	{"0 0 31 * *", "0 0 L * *"},
	{"0 0 15 * *", "0 0 15W * *"}
};

static const struct
{
	const char *text;
	JobqCronField field;
	size_t		offset;
	size_t		length;
	const char *message;
}			bad_texts[] = {

	/* the number of fields */
	{"", JOBQ_CRON_EXPRESSION, 0, 0, "The expression is empty."},
	{"  \t", JOBQ_CRON_EXPRESSION, 0, 3, "The expression is empty."},
	{"*", JOBQ_CRON_EXPRESSION, 0, 1, "Expected 5 to 7 fields, found 1."},
	{" * * * * ", JOBQ_CRON_EXPRESSION, 1, 7,
	"Expected 5 to 7 fields, found 4."},
	{"30 seconds", JOBQ_CRON_EXPRESSION, 0, 10,
		"Expected 5 to 7 fields, found 2; an interval is written "
	"\"@every 30 seconds\"."},
	{"* * * * * * 2030 1", JOBQ_CRON_EXPRESSION, 17, 1,
	"\"1\" follows the last of 7 fields."},
	{"* * * * * * * a b c", JOBQ_CRON_EXPRESSION, 14, 5,
	"\"a b c\" follows the last of 7 fields."},
	{"0 0 * * *\n", JOBQ_CRON_WEEKDAY, 9, 1,
	"\"?\" is not expected here."},
	{"0\n0 * * * *", JOBQ_CRON_MINUTE, 1, 2,
	"\"?0\" is not expected here."},

	/* ranges of values, in each field */
	{"60 * * * * *", JOBQ_CRON_SECOND, 0, 2,
	"value 60 is out of range 0 to 59."},
	{"61 * * * *", JOBQ_CRON_MINUTE, 0, 2,
	"value 61 is out of range 0 to 59."},
	{"0 24 * * *", JOBQ_CRON_HOUR, 2, 2,
	"value 24 is out of range 0 to 23."},
	{"0 0 0 * *", JOBQ_CRON_DAY, 4, 1,
	"value 0 is out of range 1 to 31."},
	{"0 0 1-32 * *", JOBQ_CRON_DAY, 6, 2,
	"value 32 is out of range 1 to 31."},
	{"0 0 1 13 *", JOBQ_CRON_MONTH, 6, 2,
	"value 13 is out of range 1 to 12."},
	{"0 0 1 0 *", JOBQ_CRON_MONTH, 6, 1,
	"value 0 is out of range 1 to 12."},
	{"0 0 1 1 3,8", JOBQ_CRON_WEEKDAY, 10, 1,
	"value 8 is out of range 0 to 7."},
	{"256 * * * *", JOBQ_CRON_MINUTE, 0, 3,
	"value 256 is out of range 0 to 59."},
	{"4294967296 * * * *", JOBQ_CRON_MINUTE, 0, 10,
	"value 4294967296 is out of range 0 to 59."},
	{"18446744073709551616 * * * *", JOBQ_CRON_MINUTE, 0, 20,
	"value 18446744073709551616 is out of range 0 to 59."},
	{"0 99999999999999999999999999999 * * *", JOBQ_CRON_HOUR, 2, 29,
	"value 999999999999999999999999... is out of range 0 to 23."},

	/* steps */
	{"*/0 * * * *", JOBQ_CRON_MINUTE, 2, 1,
	"step 0 is out of range 1 to 59."},
	{"*/60 * * * *", JOBQ_CRON_MINUTE, 2, 2,
	"step 60 is out of range 1 to 59."},
	{"0 */24 * * *", JOBQ_CRON_HOUR, 4, 2,
	"step 24 is out of range 1 to 23."},
	{"0 0 */32 * *", JOBQ_CRON_DAY, 6, 2,
	"step 32 is out of range 1 to 31."},
	{"0 0 1 */13 *", JOBQ_CRON_MONTH, 8, 2,
	"step 13 is out of range 1 to 12."},
	{"0 0 1 1 */8", JOBQ_CRON_WEEKDAY, 10, 1,
	"step 8 is out of range 1 to 7."},
	{"*/ * * * *", JOBQ_CRON_MINUTE, 2, 0,
	"a number is missing."},
	{"*/x * * * *", JOBQ_CRON_MINUTE, 2, 1,
	"\"x\" is not a number."},
	{"*/mon * * * *", JOBQ_CRON_MINUTE, 2, 3,
	"\"mon\" is not a number."},
	{"*/-5 * * * *", JOBQ_CRON_MINUTE, 2, 2,
	"\"-5\" is not a number."},
	{"5/10/2 * * * *", JOBQ_CRON_MINUTE, 4, 2,
	"\"/2\" is not expected here."},

	/* lists and ranges */
	{"1,,2 * * * *", JOBQ_CRON_MINUTE, 2, 0,
	"an item of the list is empty."},
	{", * * * *", JOBQ_CRON_MINUTE, 0, 0,
	"an item of the list is empty."},
	{"0 0 1 1 1,", JOBQ_CRON_WEEKDAY, 10, 0,
	"an item of the list is empty."},
	{"1- * * * *", JOBQ_CRON_MINUTE, 2, 0,
	"a number is missing."},
	{"-1 * * * *", JOBQ_CRON_MINUTE, 0, 2,
	"\"-1\" is not a number."},
	{"1-2-3 * * * *", JOBQ_CRON_MINUTE, 3, 2,
	"\"-3\" is not expected here."},
	{"*-5 * * * *", JOBQ_CRON_MINUTE, 1, 2,
	"\"-5\" is not expected here."},
	{"** * * * *", JOBQ_CRON_MINUTE, 1, 1,
	"\"*\" is not expected here."},
	{"*5 * * * *", JOBQ_CRON_MINUTE, 1, 1,
	"\"5\" is not expected here."},
	{"5* * * * *", JOBQ_CRON_MINUTE, 1, 1,
	"\"*\" is not expected here."},
	{"1.5 * * * *", JOBQ_CRON_MINUTE, 1, 2,
	"\".5\" is not expected here."},
	{"0x5 * * * *", JOBQ_CRON_MINUTE, 1, 2,
	"\"x5\" is not expected here."},
	{"+5 * * * *", JOBQ_CRON_MINUTE, 0, 2,
	"\"+5\" is not a number."},
	{"H * * * *", JOBQ_CRON_MINUTE, 0, 1,
	"\"H\" is not a number."},
	{"\xd9\xa3 * * * *", JOBQ_CRON_MINUTE, 0, 2,
	"\"?\?\" is not a number."},
	{"this-is-quite-a-long-text-here 1 1 1 1", JOBQ_CRON_MINUTE, 0, 30,
	"\"this-is-quite-a-long-tex...\" is not a number."},

	/* names */
	{"0 0 1 january *", JOBQ_CRON_MONTH, 6, 7,
	"\"january\" is neither a number nor a name from JAN to DEC."},
	{"0 0 1 foo *", JOBQ_CRON_MONTH, 6, 3,
	"\"foo\" is neither a number nor a name from JAN to DEC."},
	{"0 0 1 anf *", JOBQ_CRON_MONTH, 6, 3,
	"\"anf\" is neither a number nor a name from JAN to DEC."},
	{"0 0 1 janl *", JOBQ_CRON_MONTH, 6, 4,
	"\"janl\" is neither a number nor a name from JAN to DEC."},
	{"0 0 1 1 mo", JOBQ_CRON_WEEKDAY, 8, 2,
	"\"mo\" is neither a number nor a name from SUN to SAT."},
	{"0 0 1 1 mon-jan", JOBQ_CRON_WEEKDAY, 12, 3,
	"\"jan\" is neither a number nor a name from SUN to SAT."},
	{"0 0 mon * *", JOBQ_CRON_DAY, 4, 3,
	"\"mon\" is not a number."},
	{"0 0 1 jan5 *", JOBQ_CRON_MONTH, 9, 1,
	"\"5\" is not expected here."},

	/* question mark, L, W, #, plus */
	{"? * * * *", JOBQ_CRON_MINUTE, 0, 1,
	"\"?\" is not a number."},
	{"0 0 1 ? *", JOBQ_CRON_MONTH, 6, 1,
	"\"?\" is not a number."},
	{"0 0 1,? * *", JOBQ_CRON_DAY, 6, 1,
	"\"?\" is not a number."},
	{"0 0 ?/2 * *", JOBQ_CRON_DAY, 4, 3,
	"\"?/2\" is not a number."},
	{"L * * * *", JOBQ_CRON_MINUTE, 0, 1,
	"\"L\" is not a number."},
	{"0 0 1 L *", JOBQ_CRON_MONTH, 6, 1,
	"\"L\" is neither a number nor a name from JAN to DEC."},
	{"0 0 1 1 L", JOBQ_CRON_WEEKDAY, 8, 1,
	"\"L\" is neither a number nor a name from SUN to SAT."},
	{"0 0 1 1 $", JOBQ_CRON_WEEKDAY, 8, 1,
	"\"$\" is not a number."},
	{"0 0 L-31 * *", JOBQ_CRON_DAY, 6, 2,
	"distance 31 is out of range 0 to 30."},
	{"0 0 L- * *", JOBQ_CRON_DAY, 6, 0,
	"a number is missing."},
	{"0 0 L-x * *", JOBQ_CRON_DAY, 6, 1,
	"\"x\" is not a number."},
	{"0 0 L-3W * *", JOBQ_CRON_DAY, 7, 1,
	"\"W\" is not expected here."},
	{"0 0 L/2 * *", JOBQ_CRON_DAY, 5, 2,
	"\"/2\" is not expected here."},
	{"0 0 $-3 * *", JOBQ_CRON_DAY, 5, 2,
	"\"-3\" is not expected here."},
	{"0 0 LWW * *", JOBQ_CRON_DAY, 6, 1,
	"\"W\" is not expected here."},
	{"0 0 W * *", JOBQ_CRON_DAY, 4, 1,
	"\"W\" is not a number."},
	{"0 0 15W-20 * *", JOBQ_CRON_DAY, 7, 3,
	"\"-20\" is not expected here."},
	{"0 0 10-15W * *", JOBQ_CRON_DAY, 9, 1,
	"\"W\" is not expected here."},
	{"0 0 5L * *", JOBQ_CRON_DAY, 5, 1,
	"\"L\" is not expected here."},
	{"0 0 25-L * *", JOBQ_CRON_DAY, 7, 1,
	"\"L\" is not a number."},
	{"0 0 1 1 15W", JOBQ_CRON_WEEKDAY, 8, 2,
	"value 15 is out of range 0 to 7."},
	{"0 0 1 1 1#6", JOBQ_CRON_WEEKDAY, 10, 1,
	"number 6 is out of range 1 to 5."},
	{"0 0 1 1 1#0", JOBQ_CRON_WEEKDAY, 10, 1,
	"number 0 is out of range 1 to 5."},
	{"0 0 1 1 1#", JOBQ_CRON_WEEKDAY, 10, 0,
	"a number is missing."},
	{"0 0 1 1 1#L", JOBQ_CRON_WEEKDAY, 10, 1,
	"\"L\" is not a number."},
	{"0 0 1 1 *#2", JOBQ_CRON_WEEKDAY, 9, 2,
	"\"#2\" is not expected here."},
	{"0 0 1 1 1-5#2", JOBQ_CRON_WEEKDAY, 11, 2,
	"\"#2\" is not expected here."},
	{"0 0 1 1 1#2/3", JOBQ_CRON_WEEKDAY, 11, 2,
	"\"/3\" is not expected here."},
	{"0 0 1#2 1 1", JOBQ_CRON_DAY, 5, 2,
	"\"#2\" is not expected here."},
	{"0 0 1 1 +", JOBQ_CRON_WEEKDAY, 9, 0,
	"an item of the list is empty."},
	{"0 0 1 1 1,+2", JOBQ_CRON_WEEKDAY, 10, 2,
	"\"+2\" is not a number."},
	{"0 0 +1,+2 1 1", JOBQ_CRON_DAY, 7, 2,
	"\"+2\" is not a number."},
	{"0 0 1 +1 1", JOBQ_CRON_MONTH, 6, 2,
	"\"+1\" is not a number."},

	/* macros */
	{"@", JOBQ_CRON_EXPRESSION, 0, 1, "\"@\" is not a known macro."},
	{"@foo bar", JOBQ_CRON_EXPRESSION, 0, 4, "\"@foo\" is not a known macro."},
	{"@dailyx", JOBQ_CRON_EXPRESSION, 0, 7,
	"\"@dailyx\" is not a known macro."},
	{" @daily 5 ", JOBQ_CRON_EXPRESSION, 8, 1,
	"\"5\" is not expected after a macro."},
	{"@reboot", JOBQ_CRON_EXPRESSION, 0, 7,
	"\"@reboot\" is not supported: a schedule needs a time."},
	{"@restart", JOBQ_CRON_EXPRESSION, 0, 8,
	"\"@restart\" is not supported: a schedule needs a time."},

	/* blanks and what is not ASCII count as the bytes that they are */
	{"\t  0 25 * * *", JOBQ_CRON_HOUR, 5, 2,
	"value 25 is out of range 0 to 23."},
	{"0  0\t\t0  0  1 1", JOBQ_CRON_DAY, 9, 1,
	"value 0 is out of range 1 to 31."},
	{" 1, * * * *  ", JOBQ_CRON_MINUTE, 3, 0,
	"an item of the list is empty."},
	{"0 0 1 1 \xc3\xa9,8", JOBQ_CRON_WEEKDAY, 8, 2,
	"\"?\?\" is not a number."},
	{"* * * * * * 1969", JOBQ_CRON_YEAR, 12, 4,
	"value 1969 is out of range 1970 to 2199."},
	{"* * * * * * 2200", JOBQ_CRON_YEAR, 12, 4,
	"value 2200 is out of range 1970 to 2199."},
	{"* * * * * * 2030-2029", JOBQ_CRON_YEAR, 12, 9,
	"\"2030-2029\" ends before it begins."},
	{"* * * * * * */0", JOBQ_CRON_YEAR, 14, 1,
	"step 0 is out of range 1 to 229."},
	{"* * * * * * ?", JOBQ_CRON_YEAR, 12, 1, "\"?\" is not a number."},
	{"* * * * * * +2030", JOBQ_CRON_YEAR, 12, 5,
	"\"+2030\" is not a number."},
	{"* * * * * * 2030L", JOBQ_CRON_YEAR, 16, 1,
	"\"L\" is not expected here."},
	{"* * * * * * 2030,", JOBQ_CRON_YEAR, 17, 0,
	"an item of the list is empty."},
	{"0 0 1 1 * 2030", JOBQ_CRON_WEEKDAY, 10, 4,
	"value 2030 is out of range 0 to 7."},
	{"CRON_TZ=Europe/Berlin 0 9 * * *", JOBQ_CRON_EXPRESSION, 0, 21,
	"\"CRON_TZ=Europe/Berlin\" is a time zone, not part of an expression."},
	{"TZ=UTC 0 9 * * *", JOBQ_CRON_EXPRESSION, 0, 6,
	"\"TZ=UTC\" is a time zone, not part of an expression."},
	{"0 9 * * * America/New_York", JOBQ_CRON_EXPRESSION, 10, 16,
	"\"America/New_York\" is a time zone, not part of an expression."},
	{"0 9 * * * utc", JOBQ_CRON_EXPRESSION, 10, 3,
	"\"utc\" is a time zone, not part of an expression."},
	{"tz=x @daily", JOBQ_CRON_EXPRESSION, 0, 4,
	"\"tz=x\" is a time zone, not part of an expression."},
	{"  * * * * * * * \xc3\xa9 ", JOBQ_CRON_EXPRESSION, 16, 2,
	"\"?\?\" follows the last of 7 fields."},
	{"  @every  5 parsecs ", JOBQ_CRON_INTERVAL, 12, 7,
	"\"parsecs\" is not a unit of time."},
	{" @every  ", JOBQ_CRON_INTERVAL, 7, 0,
	"it is missing; examples are 10s, 1h30m and 2 days."},

	/* intervals */
	{"@every", JOBQ_CRON_INTERVAL, 6, 0,
	"it is missing; examples are 10s, 1h30m and 2 days."},
	{"@every10s", JOBQ_CRON_EXPRESSION, 0, 9,
	"\"@every10s\" is not a known macro."},
	{"@every 10", JOBQ_CRON_INTERVAL, 7, 2,
	"\"10\" is not a number with a unit."},
	{"@every 1h 10", JOBQ_CRON_INTERVAL, 10, 2,
	"\"10\" is not a number with a unit."},
	{"@every hour", JOBQ_CRON_INTERVAL, 7, 4,
	"\"hour\" is not a number with a unit."},
	{"@every -5s", JOBQ_CRON_INTERVAL, 7, 3,
	"\"-5s\" is not a number with a unit."},
	{"@every 1.5h", JOBQ_CRON_INTERVAL, 7, 4,
	"\"1.5h\" is not a number with a unit."},
	{"@every 10 fortnights", JOBQ_CRON_INTERVAL, 10, 10,
	"\"fortnights\" is not a unit of time."},
	{"@every 500ms", JOBQ_CRON_INTERVAL, 10, 2,
	"\"ms\" is not a unit of time."},
	{"@every 0s", JOBQ_CRON_INTERVAL, 7, 2,
	"it must be at least one second."},
	{"@every 0h 0m ", JOBQ_CRON_INTERVAL, 7, 5,
	"it must be at least one second."},
	{"@every 36525 days 1s", JOBQ_CRON_INTERVAL, 7, 13,
	"it is longer than 36525 days."},
	{"@every 99999999999999999999w", JOBQ_CRON_INTERVAL, 7, 21,
	"it is longer than 36525 days."}
};

static void
check_good(const char *text, JobqCron *cron)
{
	JobqCronError error;
	bool		parsed = jobq_cron_parse(text, strlen(text), cron, &error);

	CHECK(parsed, "\"%s\": %s", text, error.message);
}

static bool
same_meaning(const JobqCron *a, const JobqCron *b)
{
	return a->seconds == b->seconds && a->minutes == b->minutes &&
		a->every == b->every && a->hours == b->hours && a->days == b->days &&
		a->days_from_last == b->days_from_last &&
		a->days_nearest == b->days_nearest && a->months == b->months &&
		a->weekdays == b->weekdays && a->weekdays_last == b->weekdays_last &&
		memcmp(a->weekdays_nth, b->weekdays_nth, 5) == 0 &&
		a->match_both == b->match_both && a->fixed_time == b->fixed_time &&
		memcmp(a->years, b->years, sizeof(a->years)) == 0 &&
		a->any_year == b->any_year && a->possible == b->possible;
}

static void
test_good_texts(void)
{
	JobqCron	a;
	JobqCron	b;
	size_t		i;

	for (i = 0; i < COUNT(equal_texts); i++)
	{
		check_good(equal_texts[i][0], &a);
		check_good(equal_texts[i][1], &b);
		CHECK(same_meaning(&a, &b), "\"%s\" is not \"%s\"", equal_texts[i][0],
			  equal_texts[i][1]);
	}
	for (i = 0; i < COUNT(different_texts); i++)
	{
		check_good(different_texts[i][0], &a);
		check_good(different_texts[i][1], &b);
		CHECK(!same_meaning(&a, &b), "\"%s\" is \"%s\"", different_texts[i][0],
			  different_texts[i][1]);
	}
}

/*
 * The values themselves, once.
 */
static void
test_values(void)
{
	JobqCron	cron;

	check_good("1 2-4 */12 L-2,3W,9 feb 6,1#3,5L", &cron);
	CHECK(cron.seconds == 1 << 1, "seconds");
	CHECK(cron.minutes == (1 << 2 | 1 << 3 | 1 << 4), "minutes");
	CHECK(cron.hours == (1 | 1 << 12), "hours");
	CHECK(cron.days == 1 << 9, "days");
	CHECK(cron.days_from_last == 1 << 2, "days from last");
	CHECK(cron.days_nearest == 1 << 3, "days nearest");
	CHECK(cron.months == 1 << 2, "months");
	CHECK(cron.weekdays == 1 << 6, "weekdays");
	CHECK(cron.weekdays_nth[2] == 1 << 1, "nth weekdays");
	CHECK(cron.weekdays_last == 1 << 5, "last weekdays");
	CHECK(!cron.match_both && !cron.fixed_time && cron.every == 0, "flags");
	CHECK(sizeof(cron) < 256, "size");

	check_good("@every 1w2d3h4m5s", &cron);
	CHECK(cron.every == 788645, "interval");
}

static void
test_bad_texts(void)
{
	static const char *const names[] = {
		"expression", "second", "minute", "hour", "day of month", "month",
		"day of week", "year", "interval"
	};
	JobqCron	cron;
	JobqCronError error;
	size_t		i;

	for (i = 0; i < COUNT(bad_texts); i++)
	{
		const char *text = bad_texts[i].text;
		bool		parsed;

		parsed = jobq_cron_parse(text, strlen(text), &cron, &error);
		CHECK(!parsed, "\"%s\" was accepted", text);
		if (parsed)
			continue;
		CHECK(error.field == bad_texts[i].field, "\"%s\": field %d", text,
			  (int) error.field);
		CHECK(strcmp(error.name, names[error.field]) == 0, "\"%s\": name %s",
			  text, error.name);
		CHECK(error.offset == bad_texts[i].offset &&
			  error.length == bad_texts[i].length,
			  "\"%s\": at %zu, %zu bytes", text, error.offset, error.length);
		CHECK(strcmp(error.message, bad_texts[i].message) == 0,
			  "\"%s\": %s", text, error.message);
	}
}

static void
test_length(void)
{
	char		text[300];
	JobqCron	cron;
	JobqCronError error;

	memset(text, ' ', sizeof(text));
	memcpy(text + 100, "* * * * *", 9);
	CHECK(jobq_cron_parse(text, 255, &cron, &error), "255 bytes");
	CHECK(!jobq_cron_parse(text, 256, &cron, &error), "256 bytes");
	CHECK(error.field == JOBQ_CRON_EXPRESSION && error.offset == 255 &&
		  error.length == 1, "256 bytes: %zu, %zu", error.offset,
		  error.length);
	CHECK(strcmp(error.message, "The expression is longer than 255 bytes.") ==
		  0, "%s", error.message);

	/* what lies behind the length is not looked at */
	CHECK(jobq_cron_parse("* * * * *5", 9, &cron, &error), "%s",
		  error.message);
	CHECK(!jobq_cron_parse("* * * * 5\0", 10, &cron, &error), "zero byte");
	CHECK(error.offset == 9 && error.length == 1, "zero byte at %zu",
		  error.offset);
}

/*
 * Dates that do not exist parse, but are recognised.
 */
static void
test_possible(void)
{
	static const struct
	{
		const char *text;
		bool		possible;
	}			texts[] = {
		{"* * * * *", true}, {"0 0 31 * *", true}, {"0 0 29 2 *", true},
		{"0 0 30 2 *", false}, {"0 0 31 2 *", false},
		{"0 0 31 4,6,9,11 *", false}, {"0 0 30,31 2,4 *", true},
		{"0 0 31 2 1", true}, {"0 0 31 2 +1", false},
		{"0 0 30W 2 *", false}, {"0 0 29W 2 *", true},
		{"0 0 L-29 2 *", false}, {"0 0 L-28 2 *", true},
		{"0 0 L-30 4,6 *", false}, {"0 0 L-30 4,7 *", true},
		{"0 0 29 2 +1", true}, {"0 0 29 2 +1#5", true},
		{"0 0 28 2 +1#5", false}, {"0 0 1 * +3#2", false},
		{"0 0 8 * +3#2", true}, {"0 0 1-24 2 +5L", true},
		{"0 0 1-21 2 +5L", false}, {"0 0 LW * +6", false},
		{"0 0 15W * +0", false}, {"@every 1s", true}
	};
	JobqCron	cron;
	size_t		i;

	for (i = 0; i < COUNT(texts); i++)
	{
		check_good(texts[i].text, &cron);
		CHECK(jobq_cron_is_possible(&cron) == texts[i].possible,
			  "\"%s\" is possible or not", texts[i].text);
		CHECK(cron.possible == texts[i].possible, "\"%s\"", texts[i].text);
	}
}

int
main(void)
{
	test_good_texts();
	test_values();
	test_bad_texts();
	test_length();
	test_possible();
	return check_finish();
}
