# t/193_left_behind.pl: the server's replication slots, replication origin and
# backup mode, which belong to a session, do not outlast the job that made them.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node =
  jobq_node('main',
	conf => [ 'wal_level = logical', 'jobq.max_workers = 1', 'jobq.worker_idle_timeout = 1h' ]);

# Runs a command as a job; returns its SQLSTATE if it failed, else ''.
sub job
{
	my ($command) = @_;
	my $id = $node->sql("SELECT jobq.run(\$_j\$$command\$_j\$, max_attempts => 1)");
	poll_query($node, "SELECT count(*) = 1 FROM jobq_store.history WHERE id = $id");
	return $node->sql("SELECT coalesce(sqlstate, '') FROM jobq_store.history WHERE id = $id");
}

# Whether the last two jobs have run in one process.
sub same_process
{
	return $node->sql(
		q{SELECT count(DISTINCT worker) = 1
		FROM (SELECT worker FROM jobq_store.history ORDER BY id DESC LIMIT 2) AS h});
}

# Begins anew: what the jobs before have left behind, if anything, is gone.
sub start_afresh
{
	$node->restart;
	wait_for_worker($node, 'jobq coordinator');
	return;
}

$node->sql('CREATE TABLE seen (t text)');

# ------------------------------------------------------------------- slots

my $slots = q{SELECT string_agg(slot_name || ' ' || active, ', ' ORDER BY slot_name)
	FROM pg_replication_slots};
my %makes = (
	'a physical slot' => q{SELECT pg_create_physical_replication_slot('mine', true, true)},
	'a slot of a procedure' =>
	  q{CALL in_steps($$SELECT pg_create_physical_replication_slot('mine', true, true)$$)},
	'a slot of a job that fails' =>
	  q{DO $$BEGIN PERFORM pg_create_physical_replication_slot('mine', true, true);
		PERFORM 1 / 0; END$$},
	'a copied slot' => q{SELECT pg_copy_physical_replication_slot('stays', 'mine', true)},);
$node->sql(
	q{
	CREATE PROCEDURE in_steps(command text) LANGUAGE plpgsql AS
		$$BEGIN EXECUTE command; INSERT INTO seen VALUES ('committed'); COMMIT; END$$;
	SELECT pg_create_physical_replication_slot('stays', true)});
foreach my $what (sort keys %makes)
{
	my $expected = $what =~ /fails/ ? '22012' : '';
	is(job($makes{$what}), $expected, "$what: the job has run");
	is($node->sql($slots), 'stays false', "$what: it is gone");
	is(job($makes{$what}), $expected, "$what: the next job can make it again");
	is(same_process(), 't', "$what: both have run in one process");
}

# a slot that was in use when a job failed is not any more
$node->sql('CREATE PUBLICATION nothing');
$node->sql(q{SELECT pg_create_logical_replication_slot('changes', 'pgoutput')});
isnt(
	job(q{SELECT pg_logical_slot_get_binary_changes('changes', NULL, NULL, 'no_such_option', '1')}),
	'', 'a job fails while it uses a slot');
is($node->sql($slots), 'changes false, stays false', 'the slot is not in use any more');
is( job(q{SELECT count(*) FROM pg_logical_slot_get_binary_changes('changes', NULL, NULL,
			'proto_version', '1', 'publication_names', 'nothing')}
	),
	'',
	'the next job can use it');
is(same_process(), 't', 'a slot in use: both have run in one process');
start_afresh();
$node->sql(q{SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots});

# ------------------------------------------------------------------ origins

$node->sql('TRUNCATE seen');

my $set_up = q{DO $$BEGIN PERFORM pg_replication_origin_session_setup('far');
	PERFORM pg_replication_origin_xact_setup('0/1', now())%s; END$$};
$node->sql(q{SELECT pg_replication_origin_create('far')});
foreach my $how ('', '; PERFORM 1 / 0')
{
	my $name = $how eq '' ? 'origin' : 'origin of a job that fails';
	is(job(sprintf($set_up, $how)), $how eq '' ? '' : '22012', "$name: the job has run");
	is(job('INSERT INTO seen SELECT pg_replication_origin_session_is_setup()'),
		'', "$name: the next job has run");
	is($node->sql('DELETE FROM seen RETURNING t'), 'false', "$name: it has none");
	is(same_process(), 't', "$name: both have run in one process");
}
is( job(q{CALL in_steps($$SELECT pg_replication_origin_session_setup('far'),
			pg_replication_origin_xact_setup('0/ABC', now())$$)}
	),
	'',
	'a procedure sets up an origin and commits');
is($node->sql(q{SELECT pg_replication_origin_progress('far', false)}),
	'0/ABC', 'its commit has the origin');
unlike(sql_error($node, q{SELECT pg_replication_origin_drop('far')}),
	qr/55006/, 'nobody uses the origin');
start_afresh();

# ------------------------------------------------------------------ backups

foreach my $how ('', 'PERFORM 1 / 0;')
{
	my $name = $how eq '' ? 'backup' : 'backup of a job that fails';
	my $position = log_position($node);
	is( job("DO \$\$BEGIN PERFORM pg_backup_start('x', true); $how END\$\$"),
		$how eq '' ? '' : '22012',
		"$name: the job has run");
	is(job('SELECT pg_backup_stop(false)'), '55000', "$name: the next job is not in backup mode");
	is(same_process(), 'f', "$name: it has run in another process");
	like(
		log_since($node, $position),
		qr/WARNING:.*aborting backup due to backend exiting/,
		"$name: the server has undone it");
}
is(job(q{DO $$BEGIN PERFORM pg_backup_start('x', true); PERFORM pg_backup_stop(false); END$$}),
	'', 'a job makes a backup');
is(job('SELECT 1'), '', 'another job runs');
is(same_process(), 't', 'a backup that was ended needs no new process');

$node->stop;
done_testing();
