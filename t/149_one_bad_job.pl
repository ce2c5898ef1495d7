# t/149_one_bad_job.pl: a job that cannot be ended, for any reason, does not keep
# the coordinator from ending others.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 4']);
$node->create_clock;

# Nothing of jobq's fails for a job with a divisor of 0 but its way to history.
my $break = q{CREATE INDEX broken ON jobq_store.history_0 ((1 / (payload ->> 'divisor')::integer))};
$node->sql(
	qq{$break;
	CREATE FUNCTION work(jsonb) RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(600)';
	SELECT jobq.create_queue('outside');
	SELECT jobq.create_queue('inside', 'work(jsonb)', max_attempts => 1)});
my @payloads = ('{"divisor": 0}', '{"divisor": 1}');

sub state_is
{
	my ($queue, $divisor, $state) = @_;
	return qq{SELECT state = '$state' FROM jobq.jobs WHERE queue = '$queue'
		AND payload ->> 'divisor' = '$divisor'};
}

# ---------------------------------------------------------------- time to live

my $from = log_position($node);
$node->sql("SELECT jobq.enqueue('outside', '$_', ttl => '0.1 s')") foreach @payloads;
poll_ok($node, state_is('outside', 1, 'expired'), 'a job expires beside one that fails to');
like(
	log_since($node, $from),
	qr/WARNING:  could not expire job \d+: division by zero/,
	'the log names the job that failed to expire');
$node->sql('DROP INDEX jobq_store.broken');
$node->advance_clock('61 s');
poll_ok($node, state_is('outside', 0, 'expired'), 'the failing job expires when it can');

# ------------------------------------------------ attempts that were broken off

my $running = q{SELECT count(*) = 2 FROM jobq.jobs WHERE queue = 'inside' AND state = 'running'};
$node->sql('TRUNCATE jobq_store.history_0');
$node->sql($break);
$node->sql("SELECT jobq.enqueue('inside', '$_')") foreach @payloads;
poll_ok($node, $running, 'two jobs run');
$node->sql(
	q{SELECT jobq.pause('inside');
	SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'jobq executor'});
poll_ok($node, state_is('inside', 1, 'dead'), 'an attempt is counted beside one that fails to be');
$node->sql('DROP INDEX jobq_store.broken');
$node->advance_clock('61 s');
poll_ok($node, state_is('inside', 0, 'dead'), 'the failing attempt is counted when it can be');

# -------------------------------------------------------------------- cancelling

$node->sql('TRUNCATE jobq_store.history_0');
$node->sql($break);
$node->sql(q{SELECT jobq.resume('inside')});
$node->sql("SELECT jobq.enqueue('inside', '$_')") foreach @payloads;
poll_ok($node, $running, 'two jobs run');
$node->sql(
	q{SELECT jobq.pause('inside');
	SELECT jobq.cancel(id) FROM jobq.jobs WHERE queue = 'inside' ORDER BY id});
poll_ok($node, state_is('inside', 1, 'cancelled'),
	'a job is cancelled beside one that fails to be');
$node->sql('DROP INDEX jobq_store.broken');
$node->advance_clock('61 s');
poll_ok($node, state_is('inside', 0, 'cancelled'), 'the failing job is cancelled when it can be');

done_testing();
