# t/322_batch_ends_without_space.pl: the process of a batch is terminated while no file can
# be made in pg_jobq. The attempts are counted once, and nothing is run twice; the
# coordinator goes on with its work.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

plan skip_all => 'a superuser of the system may write everywhere' if $> == 0;

# More than the coordinator counts in one transaction
my $size = 300;
my $node = jobq_node('main', conf => [ 'jobq.max_workers = 1', 'jobq.log_jobs = none' ]);
my $directory = $node->data_dir . '/pg_jobq';

# Executions count in a sequence, whatever becomes of their transactions.
$node->sql(
	qq{CREATE SEQUENCE begun;
	CREATE FUNCTION once(j jobq.job[]) RETURNS void LANGUAGE plpgsql AS \$\$BEGIN
		PERFORM nextval('begun') FROM unnest(j); PERFORM pg_sleep(600); END\$\$;
	SELECT jobq.create_queue('once', 'once(jobq.job[])', batch_size => $size,
		max_attempts => 1);
	CREATE FUNCTION nothing() RETURNS void LANGUAGE sql AS '';
	SELECT jobq.create_queue('other', 'nothing()')});

# Starts a batch, and terminates its process while no file can be made, after $do->().
sub terminate
{
	my ($do) = @_;
	$node->sql(
		qq{SELECT setval('begun', 1, false);
		SELECT count(*) FROM jobq.enqueue_many('once', array_fill('{}'::jsonb, ARRAY[$size]))});
	poll_ok($node, 'SELECT last_value FROM begun', 'the batch runs', expected => $size);
	chmod(0500, $directory) or die "chmod: $!\n";
	$do->();
	$node->sql(q{SELECT pg_terminate_backend(pid) FROM jobq.workers WHERE queue = 'once'});
	return;
}

sub counted
{
	my ($jobs, $name) = @_;
	return poll_ok(
		$node,
		q{SELECT count(*) FROM jobq.attempts WHERE queue = 'once' AND attempt = 1
			AND outcome = 'crashed'},
		$name,
		expected => $jobs);
}

sub other_job_runs
{
	my ($name) = @_;
	my $id = $node->sql(q{SELECT jobq.enqueue('other')});
	return poll_ok($node, "SELECT state = 'completed' FROM jobq.jobs WHERE id = $id", $name);
}

my $from = log_position($node);
terminate(sub { });
counted($size, 'each attempt is counted');
other_job_runs('another job is run meanwhile');
my $lines = () = log_since($node, $from) =~ /could not (?:write|remove|rename)/g;
cmp_ok($lines, '<=', 4, 'a bounded number of lines is written to the log');
chmod(0700, $directory) or die "chmod: $!\n";
other_job_runs('and when files can be made again');
is($node->sql('SELECT last_value FROM begun'), $size, 'no job is run twice');

# One of the jobs is locked, so its note has to stay in the file of the process.
sub terminate_while_locked
{
	my ($session) = @_;
	my $running = q{SELECT count(*) FROM jobq.workers WHERE queue = 'once'};
	my $coordinator = wait_for_worker($node, 'jobq coordinator', db => 'postgres');
	$node->sql('SELECT count(jobq.delete(id)) FROM jobq.jobs');
	terminate(sub { kill('STOP', $coordinator) });
	poll_ok($node, $running, 'its process is gone', expected => '0');
	is( ask($session, q{BEGIN; SELECT FROM jobq_store.job FETCH FIRST ROW ONLY FOR UPDATE}),
		'', 'a job is locked');
	kill('CONT', $coordinator);
	counted($size - 1, 'the other attempts are counted');
	my $id = $node->sql(q{SELECT jobq.enqueue('other')});
	poll_ok(
		$node,
		q{SELECT EXISTS (SELECT FROM jobq.health WHERE topic = 'unrecorded'
			AND message LIKE '%pg_jobq%')},
		'health says that no job is started while its note is there');
	return $id;
}

my $session = start_session($node);
my $id = terminate_while_locked($session);
ask($session, 'ROLLBACK');
counted($size, 'unlocked: the last attempt is counted');
poll_ok($node, "SELECT state = 'completed' FROM jobq.jobs WHERE id = $id",
	'then another job is run');
is($node->sql('SELECT last_value FROM begun'), $size, 'no job is run twice');
chmod(0700, $directory) or die "chmod: $!\n";

$id = terminate_while_locked($session);
$node->stop('immediate');
$session->{run}->finish;
$node->start;
counted($size, 'restarted: each attempt is counted');
poll_ok($node, "SELECT state = 'completed' FROM jobq.jobs WHERE id = $id",
	'then another job is run');
is( $node->sql(q{SELECT count(*) FROM jobq.attempts WHERE queue = 'once'}),
	$size, 'no attempt is counted twice');
is( $node->sql(q{SELECT count(*) FROM jobq.jobs WHERE queue = 'once' AND state = 'dead'}),
	$size, 'no job is run twice');
chmod(0700, $directory) or die "chmod: $!\n";

$node->stop;
done_testing();
