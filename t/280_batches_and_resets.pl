# t/280_batches_and_resets.pl: a batch has each job once, and executors go on, while
# other sessions have the queue's jobs looked for anew.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 1', 'jobq.notify_interval = 0' ]);

$node->sql(
	q{
	CREATE TABLE effect (id bigint);
	CREATE FUNCTION work(j jobq.job[]) RETURNS void LANGUAGE sql
		AS 'INSERT INTO effect SELECT x.id FROM unnest(j) AS x';
	SELECT jobq.create_queue('q', 'work(jobq.job[])', batch_size => 100, max_attempts => 1000)});

# Each of these, over and over, while jobs are added and run.
my %others = (
	'are given back by a rollback' => <<'SQL',
DO $$
BEGIN
  FOR i IN 1 .. 300 LOOP
    PERFORM jobq.take('q', 20);
    ROLLBACK;
  END LOOP;
END $$
SQL
	'are looked for from the start' => 'SELECT jobq.start()');

foreach my $how (sort keys %others)
{
	my $jobs = 20_000;
	$node->sql('TRUNCATE effect');
	my $adding = $node->background_psql('postgres');
	$adding->query_until(
		qr/begun/, qq{\\echo begun
		DO \$\$
		BEGIN
		  FOR i IN 1 .. $jobs / 100 LOOP
		    PERFORM jobq.enqueue_many('q', array_fill('1'::jsonb, '{100}'));
		    COMMIT;
		  END LOOP;
		END \$\$;
		});
	my $other = $node->background_psql('postgres');
	$other->query_safe('SET client_min_messages = error');
	poll_until(
		sub {
			$other->query_safe($others{$how});
			return $node->sql('SELECT count(DISTINCT id) FROM effect') eq $jobs;
		});
	$other->quit;
	$adding->quit;
	is($node->sql('SELECT count(*) FROM effect'), $jobs, "each job is run once when jobs $how");
}
unlike(log_since($node, 0), qr/was terminated by signal/, 'no process has crashed');

$node->stop;
done_testing();
