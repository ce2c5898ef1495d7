# t/184_notes_in_copies.pl: notes of running jobs are not in base backups, and do
# not count when a backup was copied over the data directory.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

my $node = jobq_node('main', streaming => 1);
$node->sql(
	q{
	CREATE FUNCTION works(p jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		PERFORM pg_sleep(600); END$$;
	SELECT jobq.create_queue('once', 'works(jsonb)', max_attempts => 1)});

my $runs = q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'jobq executor'
	AND wait_event = 'PgSleep'};

sub notes
{
	my ($directory) = @_;
	my @notes = glob("$directory/pg_jobq/*");
	return scalar(@notes);
}

my $id = $node->sql(q{SELECT jobq.enqueue('once')});
poll_ok($node, $runs, 'a job runs');
cmp_ok(notes($node->data_dir), '>', 0, 'it has a note');
$node->backup('backup');
my $backup = $node->backup_dir . '/backup';
ok(-d "$backup/pg_jobq", 'the directory is in the base backup');
is(notes($backup), 0, 'no note is in the base backup');

# A tool that leaves nothing out, and copies it over the files it came from.
foreach my $tool ('cp', 'of its own')
{
	if ($tool ne 'cp')
	{
		system_or_bail('cp', '-a', $_, "$backup/pg_jobq/")
		  foreach glob($node->data_dir . '/pg_jobq/*');
	}

	$node->stop('immediate');
	unlink(glob($node->data_dir . '/pg_wal/0*'));
	system_or_bail('cp', '-a', "$backup/.", $node->data_dir);
	cmp_ok(notes($node->data_dir), '>', 0, "$tool: a note is in the restored directory");

	# as if copied in the second in which the server starts, if it is quick
	poll_until(sub { Time::HiRes::time() - time() < 0.1 });
	utime(time(), time(), glob($node->data_dir . '/pg_jobq/*'));
	$node->start;
	poll_ok($node, $runs, "$tool: the job runs again");
	is($node->sql("SELECT state || attempt FROM jobq.jobs WHERE id = $id"),
		'running1', "$tool: it has lost no attempt");
}

# What crashes from then on counts.
$node->stop('immediate');
$node->start;
poll_ok(
	$node,
	"SELECT state = 'dead' FROM jobq.jobs WHERE id = $id",
	'an attempt counts that a crash ends after the restore');
is($node->sql("SELECT outcome FROM jobq.attempts WHERE job_id = $id"),
	'crashed', 'the attempt is recorded');
ok(poll_until(sub { notes($node->data_dir) == 0 }), 'its note is gone');

$node->stop;
done_testing();
