# t/269_changes_in_serial_groups.pl: jobs of a group with max_running_per_group 1 that
# are replaced, moved or dropped: the others neither overtake them nor wait in vain.

use strict;
use warnings;

use JobqLimits;
use JobqSession;
use JobqTest;
use Test::More;

my $node = jobq_node(
	'main',
	conf => [
		'jobq.max_workers = 1',
		'jobq.sweep_interval = 0',
		'max_prepared_transactions = 5',
		"jobq.log_jobs = 'none'",
		'fsync = off'
	]);

# Makes a queue whose group `g` has jobs 1 to n, with their number as unique_key.
sub serial_queue
{
	my ($queue, $n, $options) = @_;
	$node->sql(
		qq{SELECT jobq.create_queue('$queue', max_running_per_group => 1, lease => '1 h',
			backoff => 'fixed', backoff_base => '1 h', jitter => 0 $options);
		SELECT jobq.enqueue('$queue', to_jsonb(n), group_key => 'g', unique_key => n::text)
			FROM generate_series(1, $n) AS n});
	return;
}

# The statement for the job with this payload.
sub of_job
{
	my ($queue, $payload, $call) = @_;
	return qq{SELECT jobq.$call FROM jobq.jobs WHERE queue = '$queue' AND payload = '$payload'};
}

# -------------------------------------------------------------------- replaced

serial_queue('replaced', 3, '');
is(claim_jobs($node, 'replaced', 5), '1', 'the first job of a group');
end_running($node, 'replaced', q{fail(j.id, j.lease, 'no')});
my $replace = q{SELECT jobq.enqueue('replaced', '"new"', unique_key => '1',
	on_conflict => 'replace'};
$node->sql("$replace, group_key => 'g')");
is(claim_jobs($node, 'replaced', 5),
	'', 'it has failed and is replaced: it waits, and the others do');
is( $node->sql(
		q{SELECT state, attempt, run_at > now() + interval '50 min' FROM jobq.jobs
		WHERE queue = 'replaced' AND unique_key = '1'}),
	'scheduled|1|t',
	'as long as planned');
$node->sql("$replace, group_key => 'g', delay => '2 h')");
is( $node->sql(
		q{SELECT run_at > now() + interval '110 min' FROM jobq.jobs
		WHERE queue = 'replaced' AND unique_key = '1'}),
	't',
	'or longer');
$node->sql(of_job('replaced', '"new"', 'promote(id)'));
$node->sql("$replace, group_key => 'g')");
is(claim_jobs($node, 'replaced', 5), 'new', 'it is promoted, replaced, and has kept its place');
end_running($node, 'replaced', q{fail(j.id, j.lease, 'no')});
$node->sql("$replace, group_key => 'h')");
is(claim_jobs($node, 'replaced', 5), '2', 'in another group it does not hold those it has left');
$node->sql(q{SELECT jobq.enqueue('replaced', '"h"', group_key => 'h')});
is(claim_jobs($node, 'replaced', 5), 'h', 'in the other group it does not hold any either');
is( $node->sql(
		q{SELECT state, run_at > now() + interval '50 min' FROM jobq.jobs
		WHERE queue = 'replaced' AND unique_key = '1'}),
	'scheduled|t',
	'it waits as long as planned');

# ----------------------------------------------------------------------- moved

foreach my $move (
	'set_priority(id, 100)',
	q{reschedule(id, now() + interval '1 h')},
	q{enqueue('moved', payload, group_key => 'other', unique_key => '1', priority => 1,
		on_conflict => 'replace')})
{
	serial_queue('moved', 4, '');
	is(claim_jobs($node, 'moved', 5), '1', "$move: the first job");
	end_running($node, 'moved', 'release(j.id, j.lease)');
	$node->sql(of_job('moved', '1', $move));
	like(claim_jobs($node, 'moved', 5), qr/^2/, "$move: the second one is the first now");
	$node->sql(q{SELECT jobq.drop_queue('moved', force => true)});
}
serial_queue('moved', 4, '');
is(claim_jobs($node, 'moved', 5), '1', 'the first job');
end_running($node, 'moved', 'complete(j.id, j.lease)');
$node->sql(of_job('moved', '4', 'set_priority(id, -1)'));
is(claim_jobs($node, 'moved', 5), '4', 'the last job has become the first');
end_running($node, 'moved', 'complete(j.id, j.lease)');
is(claim_jobs($node, 'moved', 5), '2', 'then those before it follow');

# --------------------------------------------------------------------- dropped

foreach my $end ('ROLLBACK', 'COMMIT')
{
	serial_queue('dropped', 3, q{, max_queued => 3, on_full => 'drop_oldest'});
	is( $node->sql(
			q{BEGIN; SELECT FROM jobq.enqueue('dropped', '4', group_key => 'g');
			PREPARE TRANSACTION 'drops'}),
		'',
		"$end PREPARED: a transaction that drops a job can be prepared");
	is(claim_jobs($node, 'dropped', 5),
		'', "$end PREPARED: the job may come back, and is not overtaken");
	$node->sql("$end PREPARED 'drops'");
	poll_ok(
		$node,
		q{SELECT payload FROM jobq.dequeue('dropped')},
		"$end PREPARED: the first job of the group",
		expected => $end eq 'COMMIT' ? '2' : '1');
	limits_settled($node, "$end PREPARED");
	$node->sql(q{SELECT jobq.drop_queue('dropped', force => true)});
}

$node->stop;
done_testing();
