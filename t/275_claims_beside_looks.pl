# t/275_claims_beside_looks.pl: who looks whether a group has a job takes it from nobody: a
# claim that comes meanwhile gets the job.

use strict;
use warnings;

use IPC::Run ();
use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

use constant ROUNDS => 100;

my $node =
  jobq_node('main', conf => [ 'jobq.max_workers = 0', 'jobq.sweep_interval = 0', 'fsync = off' ]);

# A group in which one job may run at a time, and nobody has one of them. A look counts them,
# which takes most of its time.
$node->sql(
	q{SELECT jobq.create_queue('looked', max_running_per_group => 1,
		batch_size => 400, batch_wait => '1 h');
	SELECT count(*) FROM jobq.enqueue_many('looked', array_fill('1'::jsonb, '{500}'),
		group_keys => array_fill('g'::text, '{500}'))});

my $script = $node->basedir . '/look.sql';
append_to_file($script, "CALL jobq.wait('{looked}', '0');\n");
my $output = '';
my $looker = IPC::Run::start(
	[
		$node->installed_command('pgbench'),
		'-n', '-T', '600', '-f', $script, $node->connstr('postgres')
	],
	'>',
	\$output,
	'2>&1');
my $pid = poll_until(
	sub {
		return $node->sql(
			q{SELECT pid FROM pg_stat_activity
			WHERE query LIKE 'CALL jobq.wait%' AND backend_type = 'client backend'});
	}) or die "nobody looks\n";
my $claimer = start_session($node);

# It is stopped anywhere, so also where it looks at the group. It may have a lock that
# the claim needs.
my $claimed = 0;
for (1 .. ROUNDS)
{
	sleep(rand(0.01));
	kill('STOP', $pid);
	order($claimer, q{BEGIN; SELECT count(*) FROM jobq.take('looked'); ROLLBACK});
	for (my $i = 0; $i < 50 && $claimer->{out} !~ /done/; $i++)
	{
		sleep(0.002);
		$claimer->{run}->pump_nb;
	}
	kill('CONT', $pid);
	$claimed += $1 if answer($claimer) =~ /^(\d+)$/m;
}
is($claimed, ROUNDS, 'each claim gets a job');
$looker->kill_kill;
end_session($claimer);

# Nobody has a ticket any more.
limits_settled($node, 'after the looks');
is($node->sql(q{SELECT running FROM jobq.groups WHERE queue = 'looked'}), '0', 'no job runs');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('looked', 3)}), '3', 'a batch starts');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('looked', 3)}), '0', 'no other one does');
is($node->sql(q{CALL jobq.wait('{looked}', '0')}), 'f', 'then there is nothing to wait for');
$node->sql(
	q{SELECT count(jobq.complete(id, lease)) FROM jobq_store.job WHERE lease_until IS NOT NULL});
is($node->sql(q{CALL jobq.wait('{looked}', '0')}), 't', 'there is when it has ended');
$node->sql(q{SELECT jobq.drop_queue('looked', force => true)});
is($node->sql('SELECT count(*) FROM jobq.groups'), '0', 'nothing is left of the queue');

$node->stop;
done_testing();
