# t/065_pg_upgrade.pl: pg_upgrade keeps everything, and nothing runs before
# start(). The old server is the installation in JOBQ_OLD_PG if that is set
# (tools/test-versions), else one of the same version.

use strict;
use warnings;

use File::Basename qw(dirname);
use IPC::Run       ();
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my @conf = ('jobq.max_workers = 4');
my $old = jobq_node('old', install => $ENV{JOBQ_OLD_PG}, conf => \@conf);

diag('from ' . $old->sql('SHOW server_version'));

$old->sql(
	q{
	CREATE TABLE done (n int);
	CREATE FUNCTION handle(payload jsonb) RETURNS void LANGUAGE sql AS
		$$INSERT INTO done VALUES ((payload ->> 'n')::int)$$;
	CREATE ROLE jobq_upgraded;
	SELECT jobq.grant_usage('jobq_upgraded');
	SELECT jobq.create_queue('q', 'handle(jsonb)');
	SELECT jobq.grant_queue('q', 'jobq_upgraded', 'enqueue');
	SELECT jobq.enqueue('q', '{"n": 1}')});
poll_ok($old, 'SELECT count(*) = 1 FROM done', 'old: jobs run');
$old->sql(
	q{
	SELECT jobq.create_queue('e', lease => '1 hour', description => 'external');
	SELECT jobq.enqueue('e', to_jsonb(i)) FROM generate_series(1, 5) AS i;
	SELECT jobq.schedule('s', '@every 1s', queue => 'e', payload => '"tick"',
	  starts_at => now() + interval '3 s');
	SELECT jobq.stop();
	SELECT jobq.enqueue('q', '{"n": 2}')});
my ($held, $held_lease) =
  split(/\|/, $old->sql("SELECT id, lease FROM jobq.dequeue('e')"));
my $contents = q{
	SELECT (to_jsonb(t) - 'system_identifier' - 'database')::text FROM jobq_store.queue AS t
	UNION ALL SELECT to_jsonb(t)::text FROM jobq_store.job AS t
	UNION ALL SELECT to_jsonb(t)::text FROM jobq_store.history AS t
	UNION ALL SELECT to_jsonb(t)::text FROM jobq_store.queue_grant AS t
	UNION ALL SELECT (to_jsonb(t) - 'system_identifier' - 'database')::text
	  FROM jobq_store.schedule AS t
	ORDER BY 1};
my $before = $old->sql($contents);
my $last_id = $old->sql('SELECT max(id) FROM jobq_store.job');
my $plain_options = $old->sql(
	q{CREATE TEMP TABLE plain (a int NOT NULL);
	SELECT split_part(unnest(attoptions), '=', 1) FROM pg_attribute
	WHERE attrelid = 'plain'::regclass AND attnum > 0});
my $checksums = $old->sql('SHOW data_checksums');
$old->stop;

# PostgreSQL 18 makes clusters with checksums, if it is not told otherwise.
my $new = jobq_node(
	'new',
	start => 0,
	conf => \@conf,
	initdb => $checksums eq 'off' && `initdb --help` =~ /--no-data-checksums/
	? ['--no-data-checksums']
	: []);

# Column options that the old server gives to every table, and that the new one
# does not know, keep any database from being upgraded (15.20 to 18.6).
$new->start;
foreach my $option (split(/\n/, $plain_options))
{
	my $error =
	  sql_error($new, "CREATE TEMP TABLE t (a int); ALTER TABLE t ALTER a SET ($option = 1)");
	next unless $error =~ /22023: unrecognized parameter/;
	my $version = $new->sql('SHOW server_version');
	$new->stop;
  SKIP:
	{
		skip
		  "PostgreSQL $version does not know the column option \"$option\" of plain tables",
		  1;
	}
	done_testing();
	exit 0;
}
$new->stop;

my $bindir = dirname(`which pg_upgrade`);
my $old_bindir = $ENV{JOBQ_OLD_PG} ? "$ENV{JOBQ_OLD_PG}/bin" : $bindir;
my $work = PostgreSQL::Test::Utils::tempdir_short();
my @upgrade = (
	'pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir,
	'-b', $old_bindir, '-B', $bindir, '-s', $new->host,
	'-p', $old->port, '-P', $new->port);
# what the old server needs and this system lacks is there
$ENV{LD_LIBRARY_PATH} = "$ENV{JOBQ_OLD_PG}/lib" if $ENV{JOBQ_OLD_PG};
foreach my $mode ([ 'check', '--check' ], ['upgrade'])
{
	my ($name, @options) = @$mode;
	my $said = '';
	my $done = within(
		120,
		"pg_upgrade, $name",
		sub {
			IPC::Run::run([ @upgrade, @options ],
				'<', \undef, '>&', \$said, init => sub { chdir($work) or die "$work: $!" });
			return 1;
		});
	is($done ? $? : -1, 0, "pg_upgrade, $name: success")
	  or diag($said,
		map { "$_:\n" . slurp_file($_) }
		  glob($new->data_dir . '/pg_upgrade_output.d/*/log/pg_upgrade_dump_*.log'));
}

delete $ENV{LD_LIBRARY_PATH};

my $position = log_position($new);
$new->start;
is($new->sql($contents), $before, 'the new cluster has all queues and jobs');
like(
	sql_error($new, "SELECT * FROM jobq.dequeue('e')"),
	qr/55000.*HINT: .*jobq\.start/s,
	'the new cluster runs nothing before start()');
is( $new->sql("SELECT severity || ' ' || topic FROM jobq.health"),
	"critical copy\ncritical stopped",
	'jobq.health says that the cluster is a copy');
like(sql_error($new, "SELECT jobq.enqueue('q', '{\"n\": 3}', delay => '-1 s')"),
	qr/22023/, 'functions work in the new cluster');
is($new->sql('SELECT count(*) FROM done WHERE n = 2'), '0', 'no job was run');
$new->sql('SELECT jobq.start()');
poll_ok($new, 'SELECT count(*) = 1 FROM done WHERE n = 2', 'start() makes the jobs run');
$new->sql(q{SELECT jobq.enqueue('q', '{"n": 4}')});
poll_ok($new, 'SELECT count(*) = 1 FROM done WHERE n = 4', 'new jobs run after start()');
cmp_ok($new->sql("SELECT jobq.enqueue('e')"), '>', $last_id, 'a new job has a new id');
cmp_ok($new->sql("SELECT lease FROM jobq.dequeue('e')"), '>', $held_lease, 'a new lease is larger');
$new->sql("SELECT jobq.complete($held, $held_lease)");
pass('an old lease is valid');
poll_ok(
	$new,
	"SELECT count(*) > 0 FROM jobq.jobs WHERE queue = 'e' AND payload = '\"tick\"'",
	'the schedule fires');
is(join("\n", unexpected_log_lines($new, $position, qr/belongs to another database/, qr/delay/)),
	'', 'nothing unexpected in the log');
$new->stop;

done_testing();
