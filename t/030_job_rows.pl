# t/030_job_rows.pl: what is written for a job: entries in all indexes, whatever
# indexes there are, HOT claims, and ids that are never given twice.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => [ 'autovacuum = off', 'fsync = off' ]);

# One job by itself, some at once, one with a key, one that expires, one that
# is retried later and one that is finished.
my $add_some = q{
	SELECT count(*) FROM (SELECT jobq.enqueue('rows', '1')) AS one;
	SELECT count(*) FROM jobq.enqueue_many('rows', '{1,2,3}');
	SELECT count(*)
		FROM (SELECT jobq.enqueue('rows', unique_key => gen_random_uuid()::text)) AS one;
	SELECT count(*) FROM (SELECT jobq.enqueue('rows', ttl => '1 day')) AS one;
	SELECT jobq.fail(id, lease, 'no', retry_in => '1 h') FROM jobq.dequeue('rows');
	SELECT jobq.complete(id, lease) FROM jobq.dequeue('rows');
};

# Every row of jobq's tables has its entry in each index.
sub indexes_ok
{
	my ($name) = @_;
	my ($status, $out, $err) = $node->psql(
		'postgres',
		q{SELECT count(bt_index_check(c.oid, true))
		  FROM pg_class AS c JOIN pg_index AS i ON i.indexrelid = c.oid
		  JOIN pg_am AS a ON a.oid = c.relam
		  WHERE c.relnamespace = 'jobq_store'::regnamespace
		  AND c.relkind = 'i' AND a.amname = 'btree' AND i.indisvalid});
	is($err // '', '', $name);
	return;
}

$node->sql("CREATE EXTENSION amcheck; SELECT jobq.create_queue('rows')");

# ------------------------------------------------------- indexes that come

my $session = start_session($node);
ask($session, $add_some);
indexes_ok('all rows are in the indexes');

$node->sql('CREATE INDEX added_plain ON jobq_store.job (attempt, queue)');
ask($session, $add_some);
indexes_ok('rows have entries in an added index');
$node->sql(
	q{CREATE INDEX added_nulls ON jobq_store.job (queue, unique_key, priority, run_at, id)
		WHERE unique_key IS NULL AND expires_at IS NULL;
	CREATE INDEX added_mixed ON jobq_store.job (queue, expires_at, priority, run_at, id)
		WHERE expires_at IS NOT NULL AND unique_key IS NULL}
);
ask($session, $add_some);
indexes_ok('rows have entries in indexes that ask for NULL');

for my $condition ('unique_key IS NULL AND expires_at IS NULL',
	'expires_at IS NOT NULL AND unique_key IS NULL')
{
	my $count = "SELECT count(*) FROM jobq_store.job WHERE $condition";
	is($node->sql("SET enable_seqscan = off; SET enable_bitmapscan = off; $count AND queue > 0"),
		$node->sql($count), "the index has each row where $condition");
}
$node->sql('CREATE INDEX added_hash ON jobq_store.job USING hash (id)');
$node->sql(q{CREATE INDEX added_expression ON jobq_store.job ((payload ->> 'x'))});
$node->sql('CREATE INDEX added_predicate ON jobq_store.job (id) WHERE priority > 0');
ask($session, $add_some);
ask($session, q{SELECT count(*) FROM (SELECT jobq.enqueue('rows', priority => 3)) AS one;});
indexes_ok('rows have entries in indexes that the executor maintains');
is( $node->sql(
		q{SET enable_seqscan = off; SET enable_bitmapscan = off;
		  SELECT count(*) FROM jobq_store.job AS j
		  WHERE EXISTS (SELECT FROM jobq_store.job AS x WHERE x.id = j.id OFFSET 0)}),
	$node->sql('SELECT count(*) FROM jobq_store.job'),
	'one that is not a B-tree too');

ask($session, 'BEGIN; CREATE INDEX added_here ON jobq_store.job (state);');
ask($session, $add_some);
ask($session, 'COMMIT;');
indexes_ok('rows have entries in an index of the same transaction');
$node->sql("DROP INDEX jobq_store.added_$_")
  for qw(plain nulls mixed hash expression predicate here);
ask($session, $add_some);
indexes_ok('rows have entries once the added indexes are gone');

# ------------------------------------------------- indexes that are rebuilt

my $other = start_session($node);
for my $index (qw(job_dispatch job_pkey))
{
	ask($other, 'BEGIN;');
	ask($other, $add_some);
	my $reindex = start_session($node);
	$reindex->{in} .= "REINDEX INDEX CONCURRENTLY jobq_store.$index;\n\\echo rebuilt\n";
	$reindex->{run}->pump_nb;
	ok( poll_until(
			sub {
				$reindex->{run}->pump_nb;
				return $node->sql(
					qq{SELECT count(*) FROM pg_class
					WHERE relname = '${index}_ccnew'}) eq '1';
			}),
		"$index is being rebuilt");
	ask($session, $add_some);
	ask($other, $add_some);
	ask($other, 'COMMIT;');
	ok( poll_until(
			sub {
				ask($session, $add_some);
				$reindex->{run}->pump_nb;
				return $reindex->{out} =~ /rebuilt/;
			}),
		"$index has been rebuilt");
	unlike($reindex->{out}, qr/ERROR/, 'rows are written without an error');
	end_session($reindex);
	ask($session, $add_some);
	indexes_ok('no row was missed meanwhile');
}
end_session($other);

# ------------------------------------------------------------ HOT claims

$node->sql('TRUNCATE jobq_store.job');
ask($session, q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM jobq.jobs;});
for my $length (0, 30, 200, 1000)
{
	$node->sql(
		"SELECT count(*) FROM jobq.enqueue_many('rows', array_fill(to_jsonb(repeat('x', $length)),
			'{500}'))"
	);
}
$node->sql(q{SELECT pg_stat_reset_single_table_counters('jobq_store.job'::regclass)});
$node->sql(
	q{SELECT count(jobq.complete(id, lease))
		FROM jobq.dequeue('rows', 500, worker => 'worker-17.example')}
) for 1 .. 4;
poll_ok(
	$node,
	q{SELECT n_tup_upd = 2000 FROM pg_stat_user_tables WHERE relname = 'job'},
	'jobs are claimed while a snapshot sees their old versions');
is($node->sql(q{SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'job'}),
	'2000', 'all claims are HOT');
end_session($session);

# ------------------------------------------------------- indexes of history

# Keys of finished jobs are looked for in the extension's own index, whichever
# comes first in the list.
$node->sql(
	q{
	SELECT jobq.create_queue('keys');
	SELECT jobq.enqueue('keys', unique_key => 'k', unique_for => '1 h');
	SELECT jobq.complete(id, lease) FROM jobq.dequeue('keys');
	CREATE INDEX ON jobq_store.history (queue, finished_at);
	CREATE INDEX ON jobq_store.history USING hash (queue);
});
$node->sql(
	"REINDEX INDEX CONCURRENTLY
	jobq_store.history_${_}_queue_unique_key_state_finished_at_idx") for 0 .. 7;
is( $node->sql(q{SELECT jobq.enqueue('keys', unique_key => 'k', unique_for => '1 h')}),
	$node->sql(q{SELECT id FROM jobq.jobs WHERE queue = 'keys'}),
	'the key of a finished job is found though history has other indexes');

# -------------------------------------------------------- ids after a crash

$node->sql(q{SELECT jobq.enqueue('rows')});
$node->sql('CHECKPOINT');
my $last = $node->sql(q{SELECT max(id) FROM jobq.enqueue_many('rows', '{1,2,3}') AS id});
$node->stop('immediate');
$node->start;
is($node->sql('SELECT max(id) FROM jobq_store.job'), $last, 'the jobs survive a crash');
cmp_ok($node->sql(q{SELECT jobq.enqueue('rows')}), '>', $last, 'no id is given twice');
cmp_ok(
	$node->sql(
		q{SELECT min(id) FROM jobq.enqueue_many('rows', array_fill('1'::jsonb, '{1000}')) AS id}),
	'>',
	$last + 1,
	'no id is given twice when many are taken');
is( $node->sql('SELECT max(id) FROM jobq_store.job'),
	$node->sql('SELECT last_value FROM jobq_store.job_id_seq'),
	'the sequence is where the jobs are');

done_testing();
