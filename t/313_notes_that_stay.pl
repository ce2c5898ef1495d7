# t/313_notes_that_stay.pl: the note of an attempt cannot be removed: retry() fails, so that
# the attempt does not count for the job's new life.

use strict;
use warnings;

use JobqNotes;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'a superuser of the system may remove everything' if $> == 0;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 2', 'jobq.log_jobs = none' ]);
my $notes = $node->data_dir . '/pg_jobq';

$node->sql(
	q{SELECT jobq.create_queue('client'); SELECT jobq.enqueue('client');
	SELECT jobq.complete(id, lease) FROM jobq.dequeue('client')});
run_batches($node, 2, 'a');
dismiss_coordinator($node);
terminate_workers($node, 'a');
my ($counts, $revived) = split(
	/\n/,
	$node->sql(
		q{SELECT id FROM jobq.jobs
	WHERE queue = 'a' ORDER BY id}));

sub files
{
	return scalar grep { /job/ } slurp_dir($notes);
}

sub revive
{
	my ($id) = @_;
	return "SELECT jobq.retry(id) FROM jobq.jobs WHERE id = $id AND jobq.cancel(id)";
}

# The same of a job that a client has completed
sub revive_client
{
	return $node->sql(
		q{SELECT count(jobq.retry(id)) FROM jobq.jobs
			WHERE queue = 'client' AND state = 'completed'});
}

is(files(), 2, 'each attempt has a note');
my $refused = qr/55000: .*job $revived cannot be revived yet.*new one: Permission denied/s;
chmod(0500, $notes) || die "chmod: $!\n";
like(sql_error($node, revive($revived)), $refused, 'retry() fails if the note stays');
is(revive_client(), '1', 'a job without notes is revived');
$node->sql(q{SELECT jobq.complete(id, lease) FROM jobq.dequeue('client')});
chmod(0, $notes) || die "chmod: $!\n";
like(sql_error($node, revive($revived)), $refused, 'retry() fails if nobody can tell');
is(revive_client(), '1', 'a job that no executor runs is revived');
chmod(0700, $notes) || die "chmod: $!\n";
none_is_claimed($node, 'rolled back', 'a');
is(files(), 2, 'the notes are still there');

like($node->sql(revive($revived)), qr/^t?\d*$/, 'retry() revives the job when the note goes');
is(files(), 1, 'its note is gone');
$node->sql('INSERT INTO go_on VALUES (true)');
$node->sql('ALTER SYSTEM RESET jobq.databases');
$node->reload;
poll_ok(
	$node,
	q{SELECT string_agg(id || ' ' || state, ', ' ORDER BY id) FROM jobq.jobs WHERE queue = 'a'},
	'the attempt counts for the job that was not revived',
	expected => "$counts dead, $revived completed");
is($node->sql('SELECT last_value FROM begun'), '3', 'the job that is dead is not run again');

$node->stop;
done_testing();
