# t/315_nothing_at_home.pl: a database where nothing is at home has no coordinator,
# and gets one as soon as it has a queue or schedule of its own.

use strict;
use warnings;

use JobqTest;
use Test::More;

# Whether these databases have coordinators: their names, or ''.
sub coordinators_of
{
	return q{SELECT coalesce(string_agg(datname, ' ' ORDER BY datname), '')
		FROM pg_stat_activity WHERE backend_type = 'jobq coordinator'
		AND datname IN ('} . join("', '", @_) . q{')};
}

sub copy_database
{
	my ($node, $original, $copy) = @_;
	return poll_until(
		sub {
			$node->psql('postgres', "CREATE DATABASE $copy TEMPLATE $original STRATEGY file_copy")
			  == 0;
		}) || die "\"$original\" cannot be copied\n";
}

# ---------------------------------------------- copies take no worker slots

my $small =
  jobq_node('small', conf => [ 'max_worker_processes = 8', 'jobq.worker_idle_timeout = 100ms' ]);
my @copies = map { "copy_$_" } 1 .. 6;

$small->sql(
	q{CREATE ROLE victim LOGIN; SELECT jobq.grant_usage('victim', true);
	CREATE DATABASE original});
create_extension($small, 'original');
$small->sql(q{SELECT jobq.create_queue('q')}, 'original');
copy_database($small, 'original', $_) for @copies;
as_role($small, 'victim', q{SELECT jobq.run('SELECT 1')});
all_jobs_run($small, 'with more databases than worker slots');
poll_ok($small, coordinators_of(@copies), 'copies have no coordinators', expected => '');

$small->restart;
as_role($small, 'victim', q{SELECT jobq.run('SELECT 1')});
all_jobs_run($small, 'after a restart');
poll_ok(
	$small,
	coordinators_of(@copies, 'original'),
	'after a restart, only the original has a coordinator',
	expected => 'original');

# With a queue of its own in each of them there are not enough slots for all.
poll_ok(
	$small,
	q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'jobq executor'},
	'the workers leave',
	expected => '0');
$small->sql(q{SELECT jobq.create_queue('own')}, $_) for @copies;
poll_ok(
	$small,
	q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'jobq coordinator'},
	'coordinators use all worker slots',
	expected => '6');
as_role($small, 'victim', q{SELECT jobq.run('SELECT 1')});
poll_ok(
	$small,
	q{SELECT count(*) > 0 FROM jobq.health WHERE object = 'max_worker_processes'
		AND message ~ '; \d of them by the coordinators of databases .*"copy_\d"'},
	'health names the databases whose coordinators use the slots');
is(as_role($small, 'victim', q{SELECT count(*) FROM jobq.health WHERE message ~ '"copy_\d"'}),
	'0', 'health does not name them to roles that may not see other sessions');
$small->stop;

# ---------------------------------------------------- what brings it back

my $node = jobq_node('main', conf => ['max_prepared_transactions = 5']);
$node->sql('CREATE DATABASE original');
create_extension($node, 'original');
$node->sql(
	q{CREATE ROLE other LOGIN SUPERUSER;
	CREATE FUNCTION work(p jsonb) RETURNS void LANGUAGE sql AS '';
	SELECT jobq.create_queue('theirs', 'work(jsonb)'), jobq.create_queue('leased');
	SELECT jobq.enqueue('leased', max_attempts => 1);
	SELECT id FROM jobq.dequeue('leased', lease => '30 s');
	SET ROLE other;
	SELECT jobq.schedule('old', '@every 1s', 'SELECT 1')}, 'original');

# Each makes something in a database without a coordinator, and how to see that it works.
# The commands of the role "other" come with the copy.
my $work = q{SELECT count(*) > 0 FROM jobq.jobs WHERE state = 'completed' AND queue <> 'run:other'};
my %cases = (
	'queue' =>
	  [ q{SELECT jobq.create_queue('new', 'work(jsonb)'); SELECT jobq.enqueue('new')}, $work ],
	'delayed' => [
		q{SELECT jobq.create_queue('new', 'work(jsonb)');
		SELECT jobq.enqueue('new', delay => '1 s')},
		$work
	],
	'command' => [ q{SELECT jobq.run('SELECT 1')}, $work ],
	'schedule' => [ q{SELECT jobq.schedule('new', '@every 1s', 'SELECT 1')}, $work ],
	'prepared' => [
		q{BEGIN; SELECT jobq.create_queue('new', 'work(jsonb)'); SELECT jobq.enqueue('new');
		PREPARE TRANSACTION 'new'; COMMIT PREPARED 'new'}, $work
	],
	'lease' => [
		q{SELECT jobq.create_queue('new'); SELECT jobq.enqueue('new', max_attempts => 1);
		SELECT id FROM jobq.dequeue('new', lease => '1 s')},
		q{SELECT count(*) > 0 FROM jobq.jobs WHERE state = 'dead'}
	],
	'ttl' => [
		q{SELECT jobq.create_queue('new'); SELECT jobq.enqueue('new', ttl => '1 s')},
		q{SELECT count(*) > 0 FROM jobq_store.history}
	],
	'start' => [
		q{CREATE TABLE started AS SELECT now() AS at; SELECT jobq.start()},
		q{SELECT count(DISTINCT state) = 2 FROM jobq.jobs, started
			WHERE state IN ('completed', 'dead') AND finished_at > at}
	],
	'gone' => [
		q{SELECT jobq.drop_queue('theirs')},
		q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'jobq coordinator'
			AND datname = current_database()}
	]);
my @cases = sort keys %cases;

my @rounds = map { "round_$_" } 1 .. 8;
copy_database($node, 'original', 'start');
is($node->sql(q{SELECT count(*) FROM jobq_store.job WHERE lease_until > now()}, 'start'),
	'1', 'a copy has a job that is held by a lease');

# They all leave at about the same time.
copy_database($node, 'original', $_) for (grep { $_ ne 'start' } @cases), @rounds;
my $pid = wait_for_worker($node, 'jobq coordinator', db => 'original');
$node->sql('CREATE DATABASE empty');
create_extension($node, 'empty');
wait_for_worker($node, 'jobq coordinator', db => 'empty');

# Nothing is lost if the first queue comes while the coordinator is about to leave.
my %waiting = map { $_ => 1 } @rounds;
poll_until(
	sub {
		foreach my $db (sort keys %waiting)
		{
			next if $node->sql(coordinators_of($db)) ne '';
			delete $waiting{$db};
			$node->sql($cases{'queue'}[0], $db);
		}
		return !%waiting;
	}) or die "coordinators do not leave\n";
poll_ok($node, $work, "$_: a queue made when the coordinator has just left is served", db => $_)
  foreach @rounds;

poll_ok($node, coordinators_of(@cases), 'copies have no coordinators, main', expected => '');
foreach my $case (@cases)
{
	is($node->sql(q{SELECT count(*) FROM jobq.health WHERE topic = 'coordinator'}, $case),
		'0', "$case: health finds nothing wrong with that");
	$node->sql($cases{$case}[0], $case);
}
poll_ok($node, $cases{$_}[1], "$_: is served", db => $_) foreach @cases;

# ------------------------------------------------------- what does not

poll_ok($node, coordinators_of('empty'), 'an empty database has no coordinator', expected => '');
is(join(' ', worker_pids($node, 'jobq coordinator', 'original')),
	$pid, 'a database with queues keeps its coordinator');

$node->sql(
	q{BEGIN; SELECT jobq.create_queue('no'); ROLLBACK;
	SELECT jobq.stop()}, 'empty');
poll_ok($node, coordinators_of('empty'), 'stop() brings none back', expected => '');
is($node->sql(q{SELECT string_agg(topic, ' ') FROM jobq.health}, 'empty'),
	'stopped', 'health says that it is stopped');
$node->sql(q{SELECT jobq.start()}, 'empty');
$node->sql(q{SELECT jobq.create_queue('new')}, 'empty');
poll_ok($node, coordinators_of('empty'), 'a queue brings it back', expected => 'empty');

done_testing();
