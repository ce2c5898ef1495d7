# t/041_import_pg_cron.pl: import_pg_cron(): the jobs of extension pg_cron
# become schedules. Most of it is skipped where pg_cron is not installed
# (Debian's package postgresql-15-cron for PostgreSQL 15).

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node(
	'main',
	start => 0,
	conf => [ 'jobq.max_workers = 2', 'log_min_messages = log' ]);
$node->start;
create_extension($node);
$node->create_clock;

# What import_pg_cron() says, without ids.
sub import
{
	return $node->sql(
		"SELECT name, imported, coalesce(reason, '')
		FROM jobq.import_pg_cron() ORDER BY jobid");
}

# without pg_cron
like(
	sql_error($node, 'SELECT * FROM jobq.import_pg_cron()'),
	qr/ERROR:  55000: extension "pg_cron" is not installed in this database/,
	'there is no pg_cron');
$node->sql("CREATE SCHEMA cron; CREATE TABLE cron.job (jobid bigint)");
like(
	sql_error($node, 'SELECT * FROM jobq.import_pg_cron()'),
	qr/ERROR:  55000: extension "pg_cron" is not installed/,
	'a table that is not pg_cron\'s is not read');
$node->sql('DROP SCHEMA cron CASCADE');

if ($node->sql("SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_cron'") eq '0')
{
	my $major = $node->sql("SELECT current_setting('server_version_num')::int / 10000");
	$node->stop;
  SKIP:
	{
		skip "pg_cron is not installed (package postgresql-$major-cron)", 1;
	}
	done_testing();
	exit 0;
}

$node->append_conf('postgresql.conf',
		"shared_preload_libraries = 'jobq,pg_cron'\n"
	  . "cron.database_name = 'postgres'\n"
	  . "cron.host = '"
	  . $node->host
	  . "'");
$node->restart;
$node->sql(
	"CREATE EXTENSION pg_cron; CREATE DATABASE elsewhere;
	 CREATE ROLE alice LOGIN; CREATE ROLE gone LOGIN;
	 GRANT USAGE ON SCHEMA cron TO alice, gone;
	 CREATE TABLE public.done (who text);
	 GRANT INSERT ON public.done TO alice");

# what pg_cron's own functions take
$node->sql(
	q{
	SELECT cron.schedule('nightly', '30 3 * * *', 'VACUUM');
	SELECT cron.schedule('0 10 * * 1-5', $$INSERT INTO done VALUES ('x');$$);
	SELECT cron.schedule('off', '@hourly', 'SELECT 1');
	UPDATE cron.job SET active = false WHERE jobname = 'off';
	SELECT cron.schedule('sixth', '0 3 * * * *', 'SELECT 2');
	SELECT cron.schedule('two', '0 4 * * *', 'SELECT 1; SELECT 2');
	SELECT cron.schedule('boot', '@reboot', 'SELECT 3');
	SELECT cron.schedule('february', '0 0 31 2 *', 'SELECT 4');
	SELECT cron.schedule('broken', '0 5 * * *', 'SELEC 5');
	SELECT cron.schedule('taken', '0 6 * * *', 'SELECT 6');
	SELECT jobq.schedule('taken', '0 6 * * *', 'SELECT 7');
	SELECT cron.schedule('other database', '0 7 * * *', 'SELECT 8');
	UPDATE cron.job SET database = 'elsewhere' WHERE jobname = 'other database';
	SELECT cron.schedule('other server', '0 7 * * *', 'SELECT 9');
	UPDATE cron.job SET nodename = 'db2.example.com' WHERE jobname = 'other server';
	SELECT cron.schedule(E'two\nlines', '0 7 * * *', 'SELECT 10');
	SET ROLE alice;
	SELECT cron.schedule('hers', '*/5 * * * *', 'INSERT INTO public.done VALUES (session_user)');
	SET ROLE gone;
	SELECT cron.schedule('of gone', '0 8 * * *', 'SELECT 11');
	RESET ROLE;
	REVOKE USAGE ON SCHEMA cron FROM gone;
	DROP ROLE gone});

# what only later versions take
$node->sql(
	q{
	INSERT INTO cron.job (schedule, command, nodename, nodeport, database, username, jobname)
	SELECT s, 'SELECT 12', j.nodename, j.nodeport, j.database, j.username, n
	FROM cron.job AS j,
	  (VALUES ('30 seconds', 'seconds'), ('1 SECOND', 'second'),
		('0 0 $ * *', 'last day'), ('60 seconds', 'minute')) AS v (s, n)
	WHERE j.jobname = 'nightly'});
my $before = $node->sql('SELECT * FROM cron.job ORDER BY jobid');

is( import(),
	join("\n",
		'nightly|t|',
		'pg_cron job 2|t|',
		'off|t|',
		'sixth|t|the text after "0 3 * * *" was left out because pg_cron ignores it',
		'two|f|the command has more than one statement; put them into a DO block or a procedure',
		'boot|f|invalid cron expression "@reboot"; '
		  . 'Position 1: "@reboot" is not supported: a schedule needs a time.',
		'february|f|cron expression "0 0 31 2 *" never fires; There is no such date and time.',
		'broken|f|syntax error at or near "SELEC"',
		'taken|f|another schedule with this name already exists',
		'other database|f|it runs in database "elsewhere"',
		'other server|f|it runs on another server, host "db2.example.com", port ' . $node->port,
		"two\nlines|f|schedule name must not contain control characters",
		'hers|t|',
		'of gone|f|role "gone" does not exist',
		'seconds|t|',
		'second|t|',
		'last day|t|',
		'minute|f|invalid cron expression "60 seconds"; '
		  . 'Position 1: Expected 5 to 7 fields, found 2; '
		  . 'an interval is written "@every 30 seconds".'),
	'what was imported, and why the rest was not');

is( $node->sql(
		"SELECT name, owner, cron, timezone, command, enabled, missed, overlap,
			max_attempts
		 FROM jobq.schedules WHERE name <> 'taken' ORDER BY name COLLATE \"C\""),
	join("\n",
		'hers|alice|*/5 * * * *|GMT|INSERT INTO public.done VALUES (session_user)|t|once|queue|1',
		'last day|postgres|0 0 L * *|GMT|SELECT 12|t|once|queue|1',
		'nightly|postgres|30 3 * * *|GMT|VACUUM|t|once|queue|1',
		'off|postgres|@hourly|GMT|SELECT 1|f|once|queue|1',
		"pg_cron job 2|postgres|0 10 * * 1-5|GMT|INSERT INTO done VALUES ('x');|t|once|queue|1",
		'second|postgres|@every 1 seconds|GMT|SELECT 12|t|once|queue|1',
		'seconds|postgres|@every 30 seconds|GMT|SELECT 12|t|once|queue|1',
		'sixth|postgres|0 3 * * *|GMT|SELECT 2|t|once|queue|1'),
	'the schedules');
is($node->sql('SELECT * FROM cron.job ORDER BY jobid'), $before, 'pg_cron\'s table is as it was');

# again
$node->sql("SELECT jobq.unschedule('second')");
my $again = import();
is(scalar(() = $again =~ /\|t\|/g), 1, 'a second import duplicates nothing');
like($again, qr/^second\|t\|$/m, 'a schedule that was removed comes back');
like(
	$again,
	qr/^nightly\|f\|a schedule with this name and command already exists$/m,
	'import_pg_cron() says why it leaves out a schedule');
is($node->sql("SELECT count(*) FROM jobq.schedules"), 9, 'a refused import creates no schedule');

# they run, as their roles
$node->sql("SELECT jobq.unschedule('second')");
$node->advance_clock('5 minutes');
poll_ok(
	$node,
	"SELECT string_agg(DISTINCT who, ',') = 'alice' FROM public.done",
	'the command runs as its role');

# cron.timezone, where pg_cron has it (1.5)
$node->append_conf('postgresql.conf', "cron.timezone = 'Europe/Berlin'");
$node->restart;
$node->sql("SELECT jobq.unschedule('nightly')");
import();
is($node->sql("SELECT timezone FROM jobq.schedules WHERE name = 'nightly'"),
	'Europe/Berlin', 'the time zone is that of cron.timezone');

# cron.dom_dow_and_logic, where pg_cron has it (1.6.8)
$node->sql(
	q{UPDATE cron.job SET schedule = '0 0 13 * 5' WHERE jobname = 'nightly';
	UPDATE cron.job SET schedule = '0 0 1 * *' WHERE jobname = 'off'});
foreach my $logic ('off', 'on')
{
	$node->append_conf('postgresql.conf', "cron.dom_dow_and_logic = $logic");
	$node->reload;
	$node->sql("SELECT jobq.unschedule('nightly'), jobq.unschedule('off')");
	import();
	is( $node->sql(
			"SELECT string_agg(cron, ',' ORDER BY name) FROM jobq.schedules
				WHERE name IN ('nightly', 'off')"
		),
		$logic eq 'on' ? '0 0 13 * +5,0 0 1 * *' : '0 0 13 * 5,0 0 1 * *',
		"cron.dom_dow_and_logic = $logic");
}

# who may
$node->sql("SELECT jobq.grant_usage('alice', true)");
like(
	sql_error($node, 'SET ROLE alice; SELECT * FROM jobq.import_pg_cron()'),
	qr/ERROR:  42501: permission denied for function import_pg_cron/,
	'grant_usage() does not give it');
$node->sql('GRANT EXECUTE ON FUNCTION jobq.import_pg_cron() TO alice');
like(
	sql_error($node, 'SET ROLE alice; SELECT * FROM jobq.import_pg_cron()'),
	qr/ERROR:  42501: permission denied to import the jobs of pg_cron/,
	'a grant of the function does not let a role import');
like(
	sql_error($node, 'BEGIN READ ONLY; SELECT * FROM jobq.import_pg_cron()'),
	qr/ERROR:  25006: cannot execute jobq.import_pg_cron\(\) in a read-only transaction/,
	'not in a read-only transaction');

# the other database has no pg_cron
$node->safe_psql('elsewhere', 'CREATE EXTENSION jobq');
like(
	sql_error($node, 'SELECT * FROM jobq.import_pg_cron()', 'elsewhere'),
	qr/HINT:  Its jobs are in the database named by cron.database_name/,
	'pg_cron is in another database');

$node->stop;
done_testing();
