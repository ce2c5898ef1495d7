# t/319_reports_refused.pl: what a role's queue does elsewhere in its name, when the role
# loses the privilege for that: nothing of it stops without a word.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 2']);

$node->sql(
	q{
	CREATE ROLE al LOGIN; CREATE ROLE bo LOGIN;
	SELECT jobq.grant_usage('al', may_create => true), jobq.grant_usage('bo', may_create => true);
	CREATE FUNCTION fail(jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN RAISE 'x'; END$$;
	SELECT jobq.create_queue('alarm', owner => 'bo');
	SELECT jobq.grant_queue('alarm', 'al', 'enqueue');
	SET ROLE al;
	SELECT jobq.create_queue('job''s', 'fail(jsonb)', max_attempts => 1, on_dead => 'alarm');
	SELECT jobq.create_queue('own', on_dead => 'job''s')});

# Has a job die, and counts those reported.
sub reports
{
	my $id = $node->sql(q{SET ROLE al; SELECT jobq.enqueue('job''s')});
	poll_query($node, "SELECT state = 'dead' FROM jobq.jobs WHERE id = $id");
	return $node->sql(
		"SELECT count(*) FROM jobq.jobs WHERE queue = 'alarm'
		AND (payload ->> 'job_id')::bigint = $id");
}
my $findings = q{SELECT severity, object, message, hint FROM jobq.health WHERE topic = 'on_dead'};

is(reports(), '1', 'a dead job is reported while its owner may enqueue there');
is($node->sql($findings), '', 'health has no finding then');

$node->sql(q{SELECT jobq.revoke_queue('alarm', 'al', 'enqueue')});
is(reports(), '0', 'it is not when that was revoked');
is( $node->sql($findings),
	q{warning|job's|dead jobs are not reported: the queue's owner, "al", has no privilege to}
	  . q{ enqueue into queue "alarm"|Use jobq.grant_queue('alarm', 'al', 'enqueue'),}
	  . q{ or jobq.reset_queue('job''s', 'on_dead').},
	'health tells an administrator, of this queue only');
is( as_role($node, 'al', $findings),
	q{warning|job's|dead jobs are not reported: the queue's owner, "al", has no privilege to}
	  . q{ enqueue into the queue of option "on_dead"|The owner of that queue can grant the}
	  . q{ privilege with jobq.grant_queue(). Use jobq.reset_queue('job''s', 'on_dead') to do}
	  . q{ without reports.},
	'it tells the owner, who may not know the name of the other queue any more');
is(as_role($node, 'bo', $findings),
	'', 'it tells nothing to the owner of the on_dead queue, who does not see the first one');

# the hints
my ($grant, $reset) = $node->sql("SELECT hint FROM ($findings) f") =~ /(jobq\.\w+\(.*?\))[,.]/g;
$node->sql("SELECT $grant");
is($node->sql($findings), '', 'the hint, to grant the privilege, ends the finding');
is(reports(), '1', 'dead jobs are reported again');
$node->sql(qq{SELECT jobq.revoke_queue('alarm', 'al', 'enqueue'); SET ROLE al; SELECT $reset});
is($node->sql($findings), '', 'so does the other one, to do without reports');

# Of many queues a hundred are named.
$node->sql(
	q{SELECT jobq.grant_queue('alarm', 'al', 'enqueue');
	SET ROLE al;
	SELECT count(jobq.create_queue('q' || i, on_dead => 'alarm')) FROM generate_series(1, 110) i;
	RESET ROLE;
	SELECT jobq.revoke_queue('alarm', 'al', 'enqueue')});
is( $node->sql("SELECT count(*), max(message) FILTER (WHERE object IS NULL) FROM ($findings) f"),
	'101|there are 10 more such queues',
	'of many queues a hundred are named');

$node->stop;
done_testing();
