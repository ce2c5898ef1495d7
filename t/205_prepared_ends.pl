# t/205_prepared_ends.pl: the end of a job by COMMIT PREPARED gives its place of
# max_running back, even if another session claims the job at once.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['max_prepared_transactions = 5']);
$node->sql(
	q{SELECT jobq.create_queue('q', max_running => 4, lease => '1h');
	SELECT count(jobq.enqueue('q')) FROM generate_series(1, 3)});

# Each claims a job, if there is one, and releases it.
my $claim = q{SELECT coalesce(max(id), 0) AS id, coalesce(max(lease), 0) AS lease
	FROM jobq.dequeue('q') \gset};
my $dir = PostgreSQL::Test::Utils::tempdir();
my %script = (
	plain => "$claim
\\if :id
SELECT jobq.release(:id, :lease);
\\endif
",
	prepared => "$claim
\\if :id
BEGIN;
SELECT jobq.release(:id, :lease);
PREPARE TRANSACTION 'release';
COMMIT PREPARED 'release';
\\endif
");
foreach my $name (keys %script)
{
	append_to_file("$dir/$name", $script{$name});
}
my @runs = map {
	my ($name, $clients, $transactions) = @$_;
	my ($out, $err) = ('', '');
	{
		name => $name,
		err => \$err,
		handle => IPC::Run::start(
			[
				'pgbench', '-n', '-f', "$dir/$name", '-c', $clients, '-t', $transactions,
				'-h', $node->host, '-p', $node->port, 'postgres'
			],
			'>', \$out,
			'2>', \$err)
	}
} ([ 'prepared', 1, 4000 ], [ 'plain', 2, 12000 ]);
foreach my $run (@runs)
{
	ok($run->{handle}->finish, "$run->{name} ends of jobs") or diag(${ $run->{err} });
}
poll_ok(
	$node,
	'SELECT count(*) = 0 FROM jobq_store.flow_check()',
	'the gate counts what is running');
$node->sql(q{SELECT count(jobq.enqueue('q')) FROM generate_series(1, 10)});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('q', 10)}), '4', 'all places are left');

$node->stop;
done_testing();
