# t/341_reset_key.pl: reset_key() while a background worker runs the job: a function keeps
# the key until its end, and is not waited for; a procedure goes on without it.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 2']);

$node->sql(
	q{
	CREATE FUNCTION holds(p jsonb) RETURNS void LANGUAGE plpgsql AS
		$$ BEGIN PERFORM pg_advisory_xact_lock((p->>'lock')::int); END $$;
	CREATE PROCEDURE commits(p jsonb) LANGUAGE plpgsql AS
		$$ BEGIN
			COMMIT;
			PERFORM pg_advisory_xact_lock((p->>'lock')::int);
		END $$;
	CREATE TABLE own (answer boolean);
	CREATE FUNCTION resets_its_own(p jsonb) RETURNS void LANGUAGE sql AS
		$$ INSERT INTO own SELECT jobq.reset_key('itself', 'k') $$;
	SELECT jobq.create_queue('function', 'holds(jsonb)', share_commits => false),
		jobq.create_queue('procedure', 'commits(jsonb)'),
		jobq.create_queue('itself', 'resets_its_own(jsonb)')});

# Starts a job that waits for a lock, which the session has.
sub start
{
	my ($session, $queue, $lock) = @_;

	ask($session, "SELECT pg_advisory_lock($lock)");
	my $id = $node->sql(qq{SELECT jobq.enqueue('$queue', '{"lock": $lock}', unique_key => 'k')});
	poll_query($node,
			"SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND objid = $lock"
		  . ' AND NOT granted')
	  or die "the job does not start\n";
	return $id;
}

# Lets it end.
sub finish
{
	my ($session, $id, $lock) = @_;

	ask($session, "SELECT pg_advisory_unlock($lock)");
	poll_query($node, "SELECT state FROM jobq.jobs WHERE id = $id", expected => 'completed')
	  or die "the job does not end\n";
	return;
}

sub reset_key
{
	my ($queue) = @_;
	return $node->sql("SET statement_timeout = '60 s'; SELECT jobq.reset_key('$queue', 'k')");
}

my $session = start_session($node);

my $id = start($session, 'function', 1);
is(reset_key('function'), 'f', 'the job of a function keeps its key while it runs');
is($node->sql(q{SELECT jobq.enqueue('function', unique_key => 'k')}), $id, 'its key is not free');
finish($session, $id, 1);
is($node->sql(q{SELECT jobq.enqueue('function', unique_key => 'k', unique_for => '1 h')}),
	$id, 'the completed job has the key');
is(reset_key('function'), 't', 'it can be taken from it then');

$id = start($session, 'procedure', 2);
is(reset_key('procedure'), 't', 'the job of a procedure goes on without its key');
isnt(
	$node->sql(
		q{SELECT jobq.enqueue('procedure', '{"lock": 3}', unique_key => 'k', delay => '1 h')}),
	$id,
	'its key is free');
finish($session, $id, 2);
is($node->sql("SELECT unique_key IS NULL, attempt FROM jobq.jobs WHERE id = $id"),
	't|1', 'it has ended without a key, in its first attempt');

$id = $node->sql(q{SELECT jobq.enqueue('itself', unique_key => 'k')});
poll_query($node, "SELECT state FROM jobq.jobs WHERE id = $id", expected => 'completed')
  or die "the job does not end\n";
is($node->sql('SELECT answer FROM own'), 'f', 'a job does not take its own key');
is($node->sql("SELECT unique_key FROM jobq.jobs WHERE id = $id"), 'k', 'it has kept it');

end_session($session);
is($node->sql('SELECT count(*) FROM jobq.health'), 0, 'health finds nothing');
$node->stop;
done_testing();
