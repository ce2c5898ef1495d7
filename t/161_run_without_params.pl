# t/161_run_without_params.pl: commands of run() that were given no params.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 2']);

$node->sql(
	q{
	CREATE TABLE told (t text);
	CREATE PROCEDURE tell(p jsonb) LANGUAGE sql AS
		$$ INSERT INTO told SELECT coalesce(p::text, 'SQL NULL') $$;
	CREATE PROCEDURE nap() LANGUAGE sql AS 'SELECT pg_sleep(600)';
	SELECT jobq.create_queue('reports')});

# What became of a job that was enqueued by a call.
sub end_of
{
	my ($call, $column) = @_;
	my $job = $node->sql("SELECT $call");
	poll_ok($node, "SELECT finished_at IS NOT NULL FROM jobq.jobs WHERE id = $job", "$call ends");
	return $node->sql("SELECT state, $column FROM jobq.jobs WHERE id = $job");
}

my $look = q{'SELECT $1 IS NULL AS isnull, $1::text AS text'};
my $result = q{coalesce(payload::text, 'SQL NULL'), result};
is( end_of("jobq.run($look)", $result),
	'completed|SQL NULL|{"text": null, "isnull": true}',
	'without params $1 is NULL');
is( end_of("jobq.run($look, params => NULL)", $result),
	'completed|SQL NULL|{"text": null, "isnull": true}',
	'... and with params => NULL');
is( end_of("jobq.run($look, 'null')", $result),
	'completed|null|{"text": "null", "isnull": false}',
	'the JSON null is another value');
is( end_of("jobq.run($look, '{}')", $result),
	'completed|{}|{"text": "{}", "isnull": false}',
	'... as any other');

$node->sql(q{SELECT jobq.run('CALL tell($1)')});
poll_ok($node, 'SELECT count(*) = 1 FROM told', 'a procedure is called');
is($node->sql('SELECT t FROM told'), 'SQL NULL', '... with NULL');

# what else becomes of such a job
is( $node->sql(
		q{BEGIN;
		SELECT jobq.run('SELECT 1', '1', delay => '1 h', unique_key => 'k') AS id \gset
		SELECT jobq.run('SELECT 1', delay => '1 h', unique_key => 'k',
			on_conflict => 'replace') = :id;
		SELECT payload IS NULL FROM jobq.jobs WHERE id = :id;
		SELECT jobq.set_payload(:id, '2'), payload FROM jobq.jobs WHERE id = :id;
		SELECT payload FROM jobq.jobs WHERE id = :id;
		ROLLBACK}),
	"t\nt\nt|\n2",
	'it replaces another one, and can be given params later');

$node->sql(
	q{SELECT jobq.alter_queue('run:postgres', on_dead => 'reports', payload_path => '$ == null')});
my $dead = $node->sql(q{SELECT jobq.run('SELECT 1/0', max_attempts => 1)});
poll_ok($node, "SELECT state = 'dead' FROM jobq.jobs WHERE id = $dead", 'it can die');
is( $node->sql(
		qq{SELECT payload -> 'payload', payload -> 'error' FROM jobq.jobs
		WHERE queue = 'reports' AND headers = '{"jobq_dead_job": $dead}'}),
	'null|"division by zero"',
	'... which is reported');
is($node->sql("SELECT jobq.retry($dead) = $dead"), 't', '... be retried');
poll_ok($node, "SELECT state = 'dead' FROM jobq.jobs WHERE id = $dead", '... and die again');
$node->sql(q{SELECT jobq.reset_queue('run:postgres', 'payload_path')});
is($node->sql("SELECT jobq.retry($dead, '3') = $dead"), 't', 'it can be retried with params');
poll_ok(
	$node,
	"SELECT state = 'dead' FROM jobq.jobs WHERE id = $dead",
	'... which changes nothing else');
is($node->sql("SELECT payload FROM jobq.jobs WHERE id = $dead"), '3', '... and are there');

# expiring, and the loss of the lease of a procedure's session
my $expired = $node->sql(q{SELECT jobq.run('SELECT 1', delay => '1 h', ttl => '1 ms')});
$node->sql("UPDATE jobq_store.job SET expires_at = now() WHERE id = $expired");
$node->sql("SELECT jobq.stop(); SELECT jobq.start()");
poll_ok($node, "SELECT state = 'expired' FROM jobq.jobs WHERE id = $expired", 'it can expire');

my $lost = $node->sql(q{SELECT jobq.run('CALL nap()', max_attempts => 1)});
poll_ok(
	$node, qq{SELECT count(pg_terminate_backend(a.pid)) > 0
	FROM jobq.workers AS w JOIN pg_stat_activity AS a USING (pid)
	WHERE w.job_id = $lost AND a.wait_event = 'PgSleep'}, 'a command is terminated');
poll_ok($node, "SELECT state = 'dead' FROM jobq.jobs WHERE id = $lost", '... and dies of it');

done_testing();
