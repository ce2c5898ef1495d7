# t/332_claims_of_large_payloads.pl: a claim of many jobs does not keep their payloads in
# memory, so that a role that may only enqueue cannot exhaust a consumer's.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main',
	conf => [ 'jobq.max_workers = 1', 'fsync = off', 'work_mem = 1MB', 'shared_buffers = 4MB' ]);

# 20 jobs of 4 MB each: those of one queue are compressed to a hundredth.
my $jobs = 20;
$node->sql(
	qq{
	SELECT jobq.create_queue('small'), jobq.create_queue('dense'), jobq.create_queue('next');
	SELECT count(jobq.enqueue(q, to_jsonb(repeat('abcdefgh', 500000))))
	FROM unnest('{small,next}'::text[]) AS q, generate_series(1, $jobs);
	SELECT count(jobq.enqueue('dense', to_jsonb((SELECT string_agg(md5(j::text || i), '')
		FROM generate_series(1, 125000) AS i)))) FROM generate_series(1, $jobs) AS j});

# The most memory that a session has had, in MB, of which shared buffers are a small part.
sub peak
{
	my ($pid) = @_;

	slurp_file("/proc/$pid/status") =~ /^VmHWM:\s*(\d+) kB/m or die "no VmHWM\n";
	return $1 / 1024;
}

SKIP:
{
	skip('this system does not tell the memory of a process', 5) unless -r '/proc/self/status';
	foreach my $call (
		"dequeue('small', $jobs)",
		"dequeue('dense', $jobs)",
		"next('next', NULL, NULL, $jobs)",
		"take('small', $jobs)",
		"take('dense', $jobs)")
	{
		my $session = start_session($node);
		my ($pid) = ask($session, 'SELECT pg_backend_pid()') =~ /(\d+)/;

		ask($session, q{SELECT count(*) FROM jobq.queues});
		my $before = peak($pid);
		my ($got) = ask($session, "SELECT count(*) FROM jobq.$call") =~ /(\d+)/;
		cmp_ok(peak($pid) - $before, '<', 40, "$call of 80 MB takes little memory");
		is($got, $jobs, "$call returns all jobs");
		end_session($session);
		$node->sql(
			q{SELECT jobq.release(id, lease) FROM jobq.jobs AS j
			JOIN jobq_store.job USING (id) WHERE j.state = 'running'}) unless $call =~ /take/;
	}
}

$node->stop;
done_testing();
