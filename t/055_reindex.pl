# t/055_reindex.pl: unique keys while job_unique_key is rebuilt: during REINDEX
# CONCURRENTLY there are two unique indexes, and both are checked.

use strict;
use warnings;

use JobqClients;
use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => [ 'fsync = off', 'autovacuum = off' ]);

# Few keys, so that many clients insert, replace, finish and retry jobs of the
# same one at the same moment, in one order and another.
my $script = <<'SQL';
\set key random(1, 3)
\set how random(1, 2)
SELECT jobq.enqueue('keys', unique_key => (:key)::text,
	on_conflict => (ARRAY['keep', 'replace'])[:how]);
SELECT count(*) FROM jobq.enqueue_many('keys', '{1,2,3}',
	unique_keys => (ARRAY['{3,1,2}', '{1,2,3}'])[:how]::text[]);
SELECT count(jobq.complete(id, lease)) FROM jobq.dequeue('keys', 2);
SELECT jobq.retry(id) FROM jobq_store.history WHERE unique_key = (:key)::text
	ORDER BY finished_at DESC LIMIT 1;
SQL

sub clients_fare_well
{
	my ($name, $code) = @_;
	my $since = log_position($node);
	my $client = client_start($node, 'keys', $script, clients => 8);

	$code->();
	client_kill($node, $client);
	my @errors = grep { !/terminat|canceling|connection/ }
	  log_since($node, $since) =~ /(?:ERROR|FATAL|PANIC): .*/g;
	is(scalar @errors, 0, $name) or diag(join "\n", @errors[ 0 .. ($#errors > 5 ? 5 : $#errors) ]);
	is( $node->sql(
			q{SELECT count(*) FROM (SELECT FROM jobq_store.job WHERE unique_key IS NOT NULL
			GROUP BY queue, unique_key HAVING count(*) > 1) AS twice}),
		0,
		"$name: no key is duplicated");
	return;
}

# How many jobs have been enqueued.
sub jobs
{
	return $node->sql('SELECT last_value FROM jobq_store.job_id_seq');
}

$node->sql("SELECT jobq.create_queue('keys')");
$node->sql("ALTER SYSTEM SET client_min_messages = warning; SELECT pg_reload_conf()");

# the state that REINDEX passes through quickly
$node->sql(
	'CREATE UNIQUE INDEX one_more ON jobq_store.job (queue, unique_key)
		WHERE unique_key IS NOT NULL'
);
clients_fare_well(
	'with two unique indexes',
	sub {
		my $jobs = jobs();
		poll_ok(
			$node,
			"SELECT last_value > $jobs + 5000 FROM jobq_store.job_id_seq",
			'the clients work during REINDEX');
	});
$node->sql('DROP INDEX jobq_store.one_more');

clients_fare_well(
	'while the index is rebuilt',
	sub {
		foreach (1 .. 15)
		{
			my $jobs = jobs();
			$node->sql('REINDEX INDEX CONCURRENTLY jobq_store.job_unique_key');
			poll_query($node, "SELECT last_value > $jobs + 100 FROM jobq_store.job_id_seq");
		}
		$node->sql('REINDEX TABLE CONCURRENTLY jobq_store.job');
	});
is( $node->sql(
		q{SELECT count(*) FROM pg_index WHERE indrelid = 'jobq_store.job'::regclass
			AND NOT indisvalid}
	),
	0,
	'no index is left behind');

done_testing();
