# t/142_unrecorded.pl: the outcome of a job cannot be recorded, because the
# disk is full or an index broken: its attempt counts, it does not run again
# before that is recorded, and no other job is started in vain.
#
# The errors are raised by an index on an expression.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 4', 'log_statement = none' ]);

# Each run of a job leaves a number of a sequence, which no rollback takes back.
$node->sql(
	q{
	CREATE FUNCTION space(bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS $$
		BEGIN
			IF current_setting('disk.error', true) <> '' THEN
				RAISE EXCEPTION 'no space' USING ERRCODE = current_setting('disk.error');
			END IF;
			RETURN $1;
		END $$;
	SELECT jobq.stop();
	CREATE INDEX ON jobq_store.attempt (space(job_id));
	CREATE SEQUENCE once_runs; CREATE SEQUENCE often_runs; CREATE SEQUENCE other_runs;
	CREATE FUNCTION run_once() RETURNS void
		LANGUAGE sql AS $$ SELECT nextval('public.once_runs') $$;
	CREATE FUNCTION run_often() RETURNS void
		LANGUAGE sql AS $$ SELECT nextval('public.often_runs') $$;
	CREATE FUNCTION run_other() RETURNS void
		LANGUAGE sql AS $$ SELECT nextval('public.other_runs') $$;
	CREATE ROLE other LOGIN;
	SELECT jobq.grant_usage('other', may_create => true);
	GRANT USAGE ON SEQUENCE other_runs TO other;
	SELECT jobq.create_queue('once', 'run_once()', max_attempts => 1);
	SELECT jobq.create_queue('often', 'run_often()', max_attempts => 2, backoff_base => '1 ms',
		share_commits => false);
	SET ROLE other;
	SELECT jobq.create_queue('other', 'run_other()', max_attempts => 1);
	RESET ROLE;
	SELECT jobq.start()});
$node->sql("CREATE INDEX ON jobq_store.history_$_ (space(id))") foreach 0 .. 7;

# From now on that error is raised, or none.
sub set_error
{
	my ($sqlstate) = @_;
	$node->append_conf('postgresql.conf', "disk.error = '$sqlstate'");
	$node->reload;
	poll_until(sub { $node->sql('SHOW disk.error') eq $sqlstate })
	  or die "the setting is not there\n";
	return;
}

# How often jobs were run.
sub runs
{
	return join ' ',
	  map { $node->sql("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM ${_}_runs") } @_;
}

foreach my $sqlstate ('53100', '58030', 'XX002')
{
	set_error($sqlstate);
	$node->sql(
		"ALTER SEQUENCE once_runs RESTART; ALTER SEQUENCE often_runs RESTART;
			ALTER SEQUENCE other_runs RESTART"
	);
	my $position = log_position($node);
	my $once = $node->sql(q{SELECT jobq.enqueue('once')});
	poll_ok(
		$node, qq{SELECT EXISTS (SELECT FROM jobq.health WHERE topic = 'unrecorded'
		AND severity = 'critical' AND message LIKE '%$sqlstate%')},
		"$sqlstate: health says that outcomes cannot be recorded");
	my $often = $node->sql(q{SELECT jobq.enqueue('often')});
	my $other = $node->sql(q{SET ROLE other; SELECT jobq.enqueue('other')});

	# executors of both roles have tried to go on, several times
	ok(poll_until(sub { scalar(() = log_since($node, $position) =~ /ERROR:  no space/g) >= 6 }),
		"$sqlstate: executors try again");
	is(runs('once'), '1', "$sqlstate: the job was run once");
	is(runs('often', 'other'), '0 0', "$sqlstate: no other job is started");

	set_error('');
	poll_ok(
		$node,
		'SELECT count(*) = 0 FROM jobq_store.job',
		"$sqlstate: all jobs end when outcomes can be recorded again");
	is(runs('once', 'often', 'other'), '1 1 1', "$sqlstate: nothing was run twice");
	is($node->sql("SELECT state, attempt FROM jobq.jobs WHERE id = $once"),
		'dead|1', "$sqlstate: the attempt counts");
	is( $node->sql(
			"SELECT attempt, outcome, sqlstate, error LIKE 'the outcome of the job could not%'
				FROM jobq.attempts WHERE job_id = $once"
		),
		"1|failed|$sqlstate|t",
		"$sqlstate: the attempt is recorded as failed");
	is( $node->sql(
			"SELECT string_agg(state || attempt, ' ') FROM jobq.jobs WHERE id IN ($often, $other)"),
		'completed1 completed1',
		"$sqlstate: the others are completed");
	is($node->sql(q{SELECT count(*) FROM jobq.health WHERE topic = 'unrecorded'}),
		'0', "$sqlstate: the finding of health is gone");
}

# The attempt counts over a restart, too.
set_error('53100');
$node->sql(q{ALTER SEQUENCE once_runs RESTART});
my $id = $node->sql(q{SELECT jobq.enqueue('once')});
poll_ok(
	$node,
	q{SELECT EXISTS (SELECT FROM jobq.health WHERE topic = 'unrecorded')},
	'restart: the outcome cannot be recorded');
$node->restart;
set_error('');
poll_ok($node, "SELECT state = 'dead' FROM jobq.jobs WHERE id = $id", 'restart: the job is dead');
is(runs('once'), '1', 'restart: the job is not run again');
is($node->sql("SELECT outcome, sqlstate FROM jobq.attempts WHERE job_id = $id"),
	'failed|53100', 'restart: the attempt is recorded');

is($node->sql(q{SELECT count(*) FROM jobq.attempts WHERE outcome = 'crashed'}),
	'0', 'no attempt is recorded as crashed');
$node->stop;
done_testing();
