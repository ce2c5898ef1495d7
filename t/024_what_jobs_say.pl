# t/024_what_jobs_say.pl: what handlers say about their own jobs: retry_in()
# and discard() in languages that turn errors into their own, functions about
# the running job, and what the server's log says of failures.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main');

# A queue with that handler, of which the body is given.
sub make_queue
{
	my ($name, $language, $body, $options, $kind) = @_;
	$kind //= 'FUNCTION';
	$node->sql(
			"CREATE $kind $name(p jsonb)"
		  . ($kind eq 'FUNCTION' ? ' RETURNS text' : '')
		  . " LANGUAGE $language AS \$_\$$body\$_\$;
		SELECT jobq.create_queue('$name', '$name(jsonb)', max_attempts => 2, backoff => 'fixed',
			jitter => 0,
			backoff_base => '10 ms'" . ($options // '') . ')');
	return;
}

sub run_ok
{
	my ($queue, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $id = $node->sql("SELECT jobq.enqueue('$queue')");
	poll_ok(
		$node, qq{SELECT concat_ws(' ', state, attempt, sqlstate, error, result) FROM jobq.jobs
		WHERE id = $id AND finished_at IS NOT NULL}, $name, expected => $expected);
	return $id;
}

# ------------------------------------------------- retry_in() and discard()

sub perl_and_tcl
{
	$node->sql('CREATE EXTENSION plperl; CREATE EXTENSION pltcl');
	make_queue('perl_discards', 'plperl', q{spi_exec_query("SELECT jobq.discard('hopeless')")});
	my $id = run_ok('perl_discards', 'dead 1 JQ102 hopeless', 'discard() in PL/Perl');
	is( $node->sql(
			"SELECT concat_ws(' ', outcome, sqlstate, error) FROM jobq.attempts WHERE job_id = $id"
		),
		'failed JQ102 hopeless',
		'the attempt of discard() in PL/Perl is recorded');
	make_queue('tcl_discards', 'pltcl', q{spi_exec "SELECT jobq.discard()"});
	run_ok('tcl_discards', 'dead 1 JQ102 the job asked not to be retried', 'discard() in PL/Tcl');
	foreach my $language ('perl', 'tcl')
	{
		my $call =
		  $language eq 'perl' ? 'spi_exec_query("SELECT later()")' : 'spi_exec "SELECT later()"';
		$node->sql(
			q{CREATE OR REPLACE FUNCTION later() RETURNS text LANGUAGE plpgsql AS $$BEGIN
			IF (jobq.current_job()).attempt = 1 THEN PERFORM jobq.retry_in('20 ms', E'not yet\n');
				END IF;
			RETURN 'at last'; END$$});
		make_queue("${language}_later", "pl$language",
			"$call; return " . ($language eq 'perl' ? "'done'" : 'done'));
		$node->sql(
			"SELECT jobq.alter_queue('${language}_later', backoff_max => '1 day',
				backoff_base => '1 day')"
		);
		run_ok(
			"${language}_later",
			'completed 2 "done"',
			"retry_in() in PL/$language, of a function in PL/pgSQL");
	}

	make_queue('perl_wraps', 'plperl',
		q{eval { spi_exec_query("SELECT jobq.discard('hopeless')") }; die "step 1: $@"});
	run_ok(
		'perl_wraps',
		'dead 1 JQ102 step 1: hopeless at line 1.',
		'an error of discard() that is caught and raised again, with more text');
	make_queue('perl_other', 'plperl',
		q{eval { spi_exec_query("SELECT jobq.discard('no')") }; die "nothing works"});
	run_ok(
		'perl_other',
		'dead 2 38000 nothing works at line 1.',
		'an error of discard() that is caught before another error');
	make_queue('perl_caught', 'plperl',
		q{eval { spi_exec_query("SELECT jobq.discard('hopeless')") }; return 'went on'});
	run_ok('perl_caught', 'completed 1 "went on"', 'an error of discard() that is caught');
	make_queue(
		'perl_second', 'plperl',
		q{eval { spi_exec_query("SELECT jobq.retry_in('1 day', 'later')") };
			spi_exec_query("SELECT jobq.discard('never')")}
	);
	run_ok('perl_second', 'dead 1 JQ102 never', 'the error that ended the job is what counts');
	make_queue('perl_commits', 'plperl',
		q{spi_commit(); spi_exec_query("SELECT jobq.discard('hopeless')")},
		'', 'PROCEDURE');
	run_ok('perl_commits', 'dead 1 JQ102 hopeless', 'discard() in a procedure in PL/Perl');

	make_queue('perl_ends', 'plperl', q{spi_commit()});
	$id = run_ok(
		'perl_ends',
		'dead 2 38000 invalid transaction termination at line 1.',
		'a function that commits in PL/Perl');
	like(
		$node->sql("SELECT hint FROM jobq.attempts WHERE job_id = $id AND attempt = 1"),
		qr/^Make the handler a procedure/,
		'a function that commits gets a hint');

	# the wish of one job is not that of the next one
	make_queue('perl_alike', 'plperl', q{die "hopeless"});
	run_ok('perl_alike', 'dead 2 38000 hopeless at line 1.', 'an error with the text of discard()');

	# cancelled and timed out jobs, too
	make_queue(
		'perl_sleeps', 'plperl',
		q{spi_exec_query("SELECT pg_sleep(600)")}, ", timeout => '100 ms'");
	$id = run_ok(
		'perl_sleeps',
		'dead 2 57014 the job ran longer than its timeout',
		'a timeout in PL/Perl');
	is( $node->sql("SELECT string_agg(outcome, ',') FROM jobq.attempts WHERE job_id = $id"),
		'timed out,timed out',
		'a timeout in PL/Perl is recorded as timed out');
	make_queue('tcl_sleeps', 'pltcl', q{spi_exec "SELECT pg_sleep(600)"});
	$id = $node->sql("SELECT jobq.enqueue('tcl_sleeps', max_attempts => 1)");
	poll_query($node, "SELECT state = 'running' FROM jobq.jobs WHERE id = $id")
	  or die 'it does not run';
	$node->sql("SELECT jobq.cancel($id, 'enough')");
	poll_ok(
		$node,
		"SELECT concat_ws(' ', state, attempt, error) FROM jobq.jobs WHERE id = $id",
		'a cancel in PL/Tcl',
		expected => 'cancelled 1 enough');
	return;
}

SKIP:
{
	skip('PL/Perl or PL/Tcl is not installed', 1)
	  unless $node->sql(
		"SELECT count(*) FROM pg_available_extensions WHERE name IN ('plperl', 'pltcl')") eq '2';
	perl_and_tcl();
}

make_queue(
	'pgsql_caught', 'plpgsql', q{BEGIN
	BEGIN PERFORM jobq.discard('hopeless'); EXCEPTION WHEN OTHERS THEN NULL; END;
	RAISE EXCEPTION 'it was hopeless'; END});
run_ok(
	'pgsql_caught',
	'dead 2 P0001 it was hopeless',
	'in PL/pgSQL an error has the given SQLSTATE');

# -------------------------------------------------- the job that is running

my $all = q{
	jsonb_build_array(jobq.reschedule(i, now() + '1 hour'), jobq.set_payload(i, '1'),
		jobq.set_priority(i, 5),
		jobq.promote(i), jobq.delete(i), jobq.cancel(i, 'itself'), jobq.retry(i))};
make_queue('itself', 'plpgsql',
	"DECLARE i bigint := (jobq.current_job()).id; BEGIN RETURN $all; END");
run_ok(
	'itself',
	'completed 1 "[false, false, false, false, false, false, null]"',
	'a function does nothing to its own job by managing it');
$node->sql(q{CREATE TABLE answers (t text)});
make_queue(
	'itself_too',
	'plpgsql',
	"DECLARE i bigint := (jobq.current_job()).id; BEGIN COMMIT; INSERT INTO answers SELECT $all;
		END",
	'',
	'PROCEDURE');
run_ok('itself_too', 'completed 1', 'a procedure does nothing to its own job by managing it');
is( $node->sql('SELECT t FROM answers'),
	'[false, false, false, false, false, false, null]',
	'a procedure is told that it cannot manage its own job');
my $id = $node->sql(q{SELECT jobq.run('SELECT jobq.delete((jobq.current_job()).id) AS d')});
poll_ok(
	$node,
	"SELECT concat_ws(' ', state, result) FROM jobq.jobs WHERE id = $id",
	'a command does nothing to its own job by managing it',
	expected => 'completed {"d": false}');

# others of the same transaction can be managed, before they are started
make_queue('other', 'plpgsql', 'BEGIN RETURN jobq.delete(jobq.enqueue(\'itself\')); END');
run_ok('other', 'completed 1 "true"', 'a job can manage another one');

# -------------------------------------------- functions that end transactions

make_queue('ends', 'plpgsql', 'BEGIN COMMIT; END');
$id = run_ok('ends', 'dead 2 2D000 invalid transaction termination', 'a function that commits');
like(
	$node->sql("SELECT hint FROM jobq.attempts WHERE job_id = $id AND attempt = 1"),
	qr/^Make the handler a procedure/,
	'a command that commits gets a hint');

# ------------------------------------------------------------------ the log

my $position = log_position($node);
make_queue(
	'talks', 'plpgsql', q{BEGIN RAISE EXCEPTION '%', repeat('x', 100000) USING ERRCODE = 'ZZ123',
	DETAIL = 'of it'; END});
$id = $node->sql("SELECT jobq.enqueue('talks')");
poll_query($node, "SELECT state = 'dead' FROM jobq.jobs WHERE id = $id");
poll_ok($node, 'SELECT true', 'the server answers');
my @lines = grep { /job $id of queue/ } split(/\n/, log_since($node, $position));
@lines = grep { /LOG:  job/ } @lines;
is(scalar(@lines), 2, 'by default the log has a line for each failed attempt');
my $log = log_since($node, $position);
# What is left of 10 ms when the line is written.
my $next = qr/attempt 2 of 2 follows in 0\.0\d\d s\. of it\n/;
my $detail = qr/DETAIL:  SQLSTATE ZZ123 in database "postgres"/;
like(
	$log,
	qr/job $id of queue "talks" failed, attempt 1: x{1000}\.\.\.\n.*$detail; $next/,
	'it is bounded, and says where, what, and what comes next');
like(
	$log,
	qr/failed, attempt 2: .*\n.*$detail; the job is dead\. of it\n/,
	'the log says if nothing comes next');

$node->append_conf('postgresql.conf', "jobq.log_jobs = 'none'");
$node->reload;
poll_query($node, 'SHOW jobq.log_jobs', expected => 'none');
$position = log_position($node);
run_ok(
	'ends',
	'dead 2 2D000 invalid transaction termination',
	'a failure with jobq.log_jobs = none');
unlike(log_since($node, $position), qr/LOG:  job/, 'nothing is logged with jobq.log_jobs = none');

# ------------------------------------------------- names in the result of a command

$node->sql('CREATE TABLE named (a int, b text); INSERT INTO named VALUES (1, $$x$$)');
foreach (
	[ 'SELECT a AS foo, b AS bar FROM named', '{"bar": "x", "foo": 1}' ],
	[ 'SELECT * FROM generate_series(5, 6)', '{"generate_series": 5}' ],
	[ 'SELECT g AS z FROM generate_series(5, 6) AS g', '{"z": 5}' ],
	[ 'WITH q AS MATERIALIZED (SELECT a AS k FROM named) SELECT k AS l FROM q', '{"l": 1}' ],
	[ 'TABLE named', '{"a": 1, "b": "x"}' ],
	[ 'SELECT n AS whole FROM named AS n', '{"whole": {"a": 1, "b": "x"}}' ],
	[ 'UPDATE named SET a = 1 RETURNING a AS changed', '{"changed": 1}' ],
	[ 'SHOW work_mem', '{"work_mem": "4MB"}' ])
{
	my ($command, $result) = @$_;
	my $run = $node->sql("SELECT jobq.run('$command')");
	poll_ok(
		$node,
		"SELECT result FROM jobq.jobs WHERE id = $run",
		"$command: the result has the names of the columns",
		expected => $result);
}

done_testing();
