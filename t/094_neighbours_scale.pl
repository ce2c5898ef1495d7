# t/094_neighbours_scale.pl: what a call of one role costs does not depend on
# what other roles own: beside 20,000 queues and 1,000 schedules of others it
# reads no more rows of the tables of queues and schedules than without, and
# the session keeps no more. Memory does not grow with the number of changes in
# a transaction either. Nothing here is measured in time.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $neighbours = 20000;
my $node = jobq_node(
	'main',
	conf => [
		'max_locks_per_transaction = 2000',
		'jobq.max_workers = 1',
		'fsync = off',
		'autovacuum = off'
	]);

# Rows of the tables of queues, schedules and jobs that this transaction has read.
my $rows_read = q{
	SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) FROM pg_stat_xact_all_tables
	WHERE schemaname = 'jobq_store' AND relname IN ('queue', 'queue_grant', 'schedule', 'job')};

# What the session keeps of queues: number of memory contexts and their bytes.
my $contexts = q{
	SELECT count(*) || ' ' || coalesce(sum(total_bytes), 0) FROM pg_backend_memory_contexts
	WHERE name LIKE 'jobq %'};

# cost($role, $statement): rows read, contexts and bytes of a statement alone in
# a session that has looked at nothing before.
sub cost
{
	my ($role, $statement) = @_;
	my $output = $node->sql(
		qq{
		BEGIN;
		SET LOCAL ROLE $role;
		$statement;
		SET LOCAL ROLE postgres;
		SELECT 'cost ' || ($rows_read) || ' ' || ($contexts);
		ROLLBACK});
	return $output =~ /^cost (\d+) (\d+) (\d+)$/m;
}

$node->sql(
	q{
	CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE many LOGIN;
	SELECT jobq.grant_usage(r, may_create => true) FROM unnest('{alice,bob,many}'::regrole[]) AS r;
	SET ROLE alice;
	SELECT count(jobq.create_queue('alice' || i)) FROM generate_series(1, 20) AS i;
	SELECT jobq.create_queue('tally', max_attempts => 3), jobq.create_queue('gone'),
	  jobq.grant_queue('alice1', 'bob', 'enqueue', 'read');
	SELECT count(jobq.enqueue('alice1', '{}')) FROM generate_series(1, 10);
	SELECT jobq.schedule('alice', '@daily', queue => 'alice1')});

# Each call, and how many rows it may read.
my @calls = (
	[ 'alice', q{SELECT jobq.enqueue('alice1', '{}')} ],
	[ 'alice', q{SELECT id FROM jobq.dequeue('alice1')} ],
	[ 'alice', q{SELECT jobq.create_queue('new')} ],
	[ 'alice', q{SELECT jobq.pause('alice2'), jobq.resume('alice2')} ],
	[ 'alice', q{SELECT jobq.alter_queue('alice2', priority => 1)} ],
	[ 'alice', q{SELECT jobq.drop_queue('gone')} ],
	[
		'alice',
		q{SELECT jobq.grant_queue('alice3', 'bob', 'read'), jobq.revoke_queue('alice3', 'bob',
			'read')}
	],
	[ 'alice', q{SELECT jobq.run('SELECT 1')} ],
	[ 'alice', q{SELECT jobq.schedule('more', '@daily', queue => 'alice1')} ],
	[ 'alice', q{SELECT * FROM jobq.health} ],
	[
		'alice',
		q{DO $$ BEGIN PERFORM jobq.enqueue('alice0', '{}');
			EXCEPTION WHEN undefined_object THEN END $$}
	],
	[ 'alice', q{SELECT count(*) FROM jobq.queues} ],
	[ 'alice', q{SELECT count(*), sum(ready) FROM jobq.queues} ],
	[ 'alice', q{SELECT count(*) FROM jobq.jobs} ],
	[ 'alice', q{SELECT * FROM jobq.jobs WHERE id = 3} ],
	[ 'alice', q{SELECT count(*) FROM jobq.dead_letters} ],
	[ 'alice', q{SELECT count(*) FROM jobq.attempts} ],
	[ 'alice', q{SELECT count(*) FROM jobq.schedules} ],
	[ 'alice', q{SELECT count(*) FROM jobq.schedule_runs} ],
	[ 'alice', q{SELECT count(*) FROM jobq.workers} ],
	[ 'bob', q{SELECT count(*) FROM jobq.queues} ],
	[ 'bob', q{SELECT count(*) FROM jobq.jobs} ],
	[ 'bob', q{SELECT jobq.enqueue('alice1', '{}')} ],
	[ 'bob', q{SELECT * FROM jobq.health} ],
	[
		'bob',
		q{DO $$ BEGIN PERFORM jobq.enqueue('nothing', '{}');
			EXCEPTION WHEN undefined_object THEN END $$}
	]);

my @alone = map { [ cost(@$_) ] } @calls;

# ---------------------------------------------------------------- neighbours

$node->sql(
	qq{
	SET ROLE many;
	SELECT count(jobq.create_queue('many' || i)) FROM generate_series(1, $neighbours) AS i;
	SELECT count(jobq.grant_queue('many' || i, 'many', 'read')) FROM generate_series(1, 1000) AS i;
	SELECT count(jobq.schedule('many' || i, '\@daily', queue => 'many' || i))
		FROM generate_series(1, 1000) AS i;
	SELECT count(jobq.enqueue('many' || i, '{}')) FROM generate_series(1, 10000) AS i});

for my $i (0 .. $#calls)
{
	my ($role, $call) = @{ $calls[$i] };
	my ($rows, $count, $bytes) = cost($role, $call);
	cmp_ok(
		$rows, '<=',
		$alone[$i][0] + 30,
		"$role: $call: reads no more rows among $neighbours queues");
	cmp_ok($bytes, '<=', $alone[$i][2] + 16384, "... and keeps no more of them");
	note("$rows rows ($alone[$i][0] alone), $count contexts, $bytes bytes ($alone[$i][2])");
}

# A change of one queue costs those nothing who use others.
my $reader = $node->background_psql('postgres');
$reader->query_safe('SET ROLE alice');
$reader->query_safe($_)
  foreach q{SELECT jobq.enqueue('alice1', '{}')}, q{SELECT jobq.enqueue('tally', '{}')};

# read_by_enqueue($queue): how many rows an enqueue reads there.
sub read_by_enqueue
{
	my ($queue) = @_;
	my ($before, undef, $after) = split /\n/, $reader->query_safe(
		qq{
		BEGIN; $rows_read; SELECT jobq.enqueue('$queue', '{}') > 0; $rows_read; COMMIT});
	return $after - $before;
}

$node->sql(q{SELECT jobq.pause('many1'), jobq.pause('many2'), jobq.drop_queue('many20000')});
is(read_by_enqueue('alice1'), '0', 'queues of others were changed: nothing is read again');
$node->sql(q{SELECT jobq.pause('tally')});
my $rows = read_by_enqueue('tally');
ok($rows > 0 && $rows <= 3, "the role's own queue was changed: only that is read again");

# More queues than there is room for in the log of changes.
$node->sql(
	q{
	SELECT count(jobq.alter_queue('many' || i, priority => 1)) FROM generate_series(1, 500) AS i;
	BEGIN;
	SELECT jobq.alter_queue('tally', priority => 7);
	SELECT count(jobq.pause('many' || i)) FROM generate_series(3, 500) AS i;
	COMMIT});
my $id = $reader->query_safe(q{SELECT jobq.enqueue('tally', '{}')});
is($node->sql("SELECT priority FROM jobq.jobs WHERE id = $id"),
	'7', 'none of many changes is overlooked');
$reader->quit;

# -------------------------------------------------- many changes, one session

# within_bounds($what, $statements): afterwards the session keeps little.
sub within_bounds
{
	my ($what, $statements) = @_;
	my ($count, $bytes) =
	  $node->sql("$statements; SELECT 'keeps ' || ($contexts)") =~ /^keeps (\d+) (\d+)$/m;
	cmp_ok($count, '<', 1100, "$what: the session keeps some queues, not all that it has seen");
	cmp_ok($bytes, '<', 2_000_000, '... in little memory');
	note("$count contexts, $bytes bytes");
	return;
}

within_bounds(
	'200 changes of a queue in one transaction', q{
	BEGIN;
	SET LOCAL ROLE many;
	DO $$ BEGIN FOR i IN 1..200 LOOP
		PERFORM jobq.pause('many7'), jobq.resume('many7'); END LOOP; END $$;
	SET LOCAL ROLE postgres});
within_bounds(
	'5,000 changes in one statement', q{
	BEGIN;
	SET LOCAL ROLE many;
	SELECT count(*) FROM (SELECT jobq.pause('many8'), jobq.resume('many8')
		FROM generate_series(1, 2500)) AS s;
	SET LOCAL ROLE postgres});
within_bounds(
	'changes that are rolled back', q{
	BEGIN;
	SET LOCAL ROLE many;
	DO $$ BEGIN FOR i IN 1..500 LOOP
	  BEGIN PERFORM jobq.pause('many9'); RAISE division_by_zero;
	  EXCEPTION WHEN division_by_zero THEN END;
	END LOOP; END $$;
	SET LOCAL ROLE postgres});
within_bounds(
	'a look at many queues', q{
	BEGIN;
	SELECT count(jobq.enqueue('many' || i, '{}')) FROM generate_series(2000, 6000) AS i
		WHERE i <> 20000}
);
within_bounds(
	'one statement that drops 9,999 queues', q{
	BEGIN;
	SELECT count(jobq.drop_queue('many' || i)) FROM generate_series(10001, 19999) AS i});

# A reader whose snapshot is older than drop_queue() sees jobs of no queue.
$node->sql(
	q{SET ROLE alice; SELECT jobq.create_queue('dropped');
		SELECT count(*) FROM jobq.enqueue_many('dropped', array_fill('1'::jsonb, '{5000}'))}
);
$reader = $node->background_psql('postgres');
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL ROLE alice');
$node->sql(q{SELECT jobq.drop_queue('dropped', force => true)});
is($reader->query_safe(q{SELECT count(*) FROM jobq.jobs WHERE queue = 'dropped'}),
	'0', 'jobs of a queue that was dropped since are not shown');
cmp_ok((split / /, $reader->query_safe("SET LOCAL ROLE postgres; $contexts"))[0],
	'<', 30, 'looking for the queues of such jobs leaves nothing behind');
$reader->quit;

# ------------------------------------------------------------- what is right

my $seen = $node->sql(
	q{
	BEGIN;
	SELECT jobq.alter_queue('alice4', priority => 1);
	SAVEPOINT s;
	SELECT jobq.alter_queue('alice4', priority => 2);
	SELECT jobq.enqueue('alice4', '2');
	SAVEPOINT t;
	SELECT jobq.alter_queue('alice4', priority => 3);
	SELECT jobq.enqueue('alice4', '3');
	RELEASE t;
	SELECT 'now: ' || string_agg(priority::text, ' ' ORDER BY id) FROM jobq.jobs
		WHERE queue = 'alice4';
	ROLLBACK TO s;
	SELECT jobq.enqueue('alice4', '1');
	SELECT 'now: ' || string_agg(priority::text, ' ' ORDER BY id) FROM jobq.jobs
		WHERE queue = 'alice4';
	ROLLBACK;
	SELECT jobq.enqueue('alice4', '0');
	SELECT 'now: ' || string_agg(priority::text, ' ' ORDER BY id) FROM jobq.jobs
		WHERE queue = 'alice4'}
);
is(join(' | ', map { /: (.*)/ ? $1 : () } split /\n/, $seen),
	'2 3 | 1 | 0', 'changes of this transaction count as long as they are not rolled back');

# A plan may be made for one role and used by another.
my $planned = $node->background_psql('postgres');
my $all = $node->sql('SELECT count(*) FROM jobq.queues');
foreach my $first (qw(postgres alice bob))
{
	my %count = (postgres => $all, alice => 22, bob => 1);
	$planned->query_safe(
		qq{DEALLOCATE ALL; SET plan_cache_mode = force_generic_plan; SET ROLE $first;
		PREPARE queues AS SELECT count(*) FROM jobq.queues});
	is( join(' ',
			map { $planned->query_safe("SET ROLE $_; EXECUTE queues") } $first,
			sort keys %count),
		join(' ', @count{ $first, sort keys %count }),
		"planned for $first, each sees its own queues");
}
$planned->quit;

# Rows that nobody has told of: a restored dump is made of such.
my $restored = $node->background_psql('postgres');
is($restored->query_safe(q{SELECT count(*) FROM jobq.queues WHERE queue = 'restored'}),
	'0', 'no such queue');
$node->sql(
	q{
	CREATE TEMP TABLE row AS SELECT * FROM jobq_store.queue WHERE name = 'alice5';
	UPDATE row SET id = 1000000, name = 'restored';
	INSERT INTO jobq_store.queue SELECT * FROM row;
	INSERT INTO jobq_store.queue_grant VALUES (1000000, 'bob', 1)});
$restored->query_safe('SET ROLE bob');
cmp_ok($restored->query_safe(q{SELECT jobq.enqueue('restored', '{}')}),
	'>', 0, 'a restored queue is found');
$restored->quit;

done_testing();
