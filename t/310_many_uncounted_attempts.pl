# t/310_many_uncounted_attempts.pl: executors are terminated in more jobs than shared memory
# has room for, and nobody has counted that yet: none of the jobs gets another attempt.

use strict;
use warnings;

use JobqNotes;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

# Shared memory has room for 1024 attempts (JOBQ_MAX_TERMINATIONS).
my @queues = qw(a b c);
my $each = 500;
my $all = @queues * $each;
my $node = jobq_node('main',
	conf => [ 'jobq.max_workers = 4', 'jobq.log_jobs = none', 'max_prepared_transactions = 2' ]);

run_batches($node, $each, @queues);
dismiss_coordinator($node);
# One after another: of the last queue, most find no room.
terminate_workers($node, @queues);

# Notes that are put aside.
sub notes
{
	return scalar grep { /job/ } slurp_dir($node->data_dir . '/pg_jobq');
}

is(notes(), $all, 'each attempt has a note');
none_is_claimed($node, 'before the attempts are counted', @queues);

is($node->sql(q{SELECT count(*) FILTER (WHERE jobq.set_payload(id, '1')) FROM jobq.jobs}),
	'0', 'set_payload() changes none of the jobs');
$node->sql(q{BEGIN; SELECT count(jobq.retry(id)) FROM jobq.jobs WHERE jobq.cancel(id); ROLLBACK});
none_is_claimed($node, 'revived and rolled back', @queues);

my $revive = q{SELECT count(jobq.retry(id)) FROM jobq.jobs WHERE queue = 'c' AND jobq.cancel(id)};
like(
	sql_error($node, "BEGIN; $revive; PREPARE TRANSACTION 'p'"),
	qr/0A000: cannot PREPARE a transaction that has revived job/,
	'a transaction that revives such jobs cannot be prepared');
none_is_claimed($node, 'revived, and PREPARE has failed', @queues);
is($node->sql($revive), $each, 'the jobs of a queue are revived');
is(notes(), $all - $each, 'they have no notes any more');
is($node->sql("SELECT count(*) FROM jobq.take('c', $each)"), $each, 'they can be taken');

my $unwritten =
	$node->data_dir
  . '/pg_jobq/pgsql_tmp.'
  . $node->sql(q{SELECT oid FROM pg_database WHERE datname = 'postgres'})
  . '.job9999.1';
append_to_file($unwritten, '');
$node->sql('INSERT INTO go_on VALUES (true)');
$node->sql('ALTER SYSTEM RESET jobq.databases');
$node->reload;
poll_ok(
	$node,
	q{SELECT string_agg(queue || ' ' || state || ' ' || n, ', ' ORDER BY queue)
		FROM (SELECT queue, state, count(*) AS n FROM jobq.jobs GROUP BY 1, 2) AS j},
	'the coordinator counts all attempts',
	expected => join(', ', "a dead $each", "b dead $each", "c completed $each"));
is( $node->sql(
		q{SELECT outcome, count(*), count(DISTINCT job_id) FROM jobq.attempts
		WHERE queue IN ('a', 'b') GROUP BY 1}),
	join('|', 'crashed', 2 * $each, 2 * $each),
	'each job has one attempt');
is($node->sql('SELECT last_value FROM begun'), $all, 'none was run again');
ok(poll_until(sub { notes() == 1 }), 'no note is left');
ok(-e $unwritten, 'an empty note stays: it may be about to be written');

$node->stop;
done_testing();
