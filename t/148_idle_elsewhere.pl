# t/148_idle_elsewhere.pl: a role that wants one more executor, and has found
# no slot, gets the slot of an executor that becomes idle later, in any
# database.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main',
	conf =>
	  [ 'jobq.max_workers = 4', 'jobq.max_workers_per_role = 2', 'jobq.worker_idle_timeout = 1h' ]);

# Jobs that go on until there is a row with their word.
my $until = q{DO $$ BEGIN
		WHILE NOT EXISTS (SELECT FROM go WHERE word = '%s') LOOP PERFORM pg_sleep(0.02); END LOOP;
	END $$};

sub wait_for_word
{
	my ($word, $n) = @_;
	my $command = sprintf($until, $word);
	return "SELECT jobq.run(\$j\$$command\$j\$) FROM generate_series(1, $n)";
}

sub as
{
	my ($role, $sql, $db) = @_;
	return $node->sql("SET SESSION AUTHORIZATION $role; $sql", $db);
}

sub running
{
	my ($role, $n) = @_;
	return qq{SELECT count(*) = $n FROM jobq.jobs WHERE queue = 'run:$role' AND state = 'running'};
}

$node->sql('CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE DATABASE other');
create_extension($node, 'other');
foreach my $db ('postgres', 'other')
{
	$node->sql(
		q{CREATE TABLE go (word text); GRANT SELECT ON go TO PUBLIC;
		SELECT jobq.grant_usage('alice', true), jobq.grant_usage('bob', true)}, $db);
}

# What the coordinator waits for: it has looked for a slot when it is asleep.
sub coordinator_sleeps
{
	my ($db) = @_;
	return qq{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'jobq coordinator'
		AND datname = '$db' AND state = 'idle'};
}

# ---------------------------------------- a role that has all it may have

as('alice', wait_for_word('first', 1), 'other');
poll_ok($node, running('alice', 1), 'a role works in one database', db => 'other');
as('alice', wait_for_word('second', 2));
poll_ok($node, running('alice', 1), 'the role works in another database, which has work for two');
poll_ok($node, coordinator_sleeps('postgres'),
	'there is no slot for a second executor of the role');
$node->sql(q{INSERT INTO go VALUES ('first')}, 'other');
poll_ok($node, running('alice', 2), 'the executor that becomes idle makes room');
$node->sql(q{INSERT INTO go VALUES ('second')});
poll_ok($node, running('alice', 0), 'all is done');

# ------------------------------------------------- all slots of the server

$node->append_conf('postgresql.conf', "jobq.max_workers_per_role = 0\njobq.max_workers = 2");
$node->reload;

# An executor that has yet to read the setting would find room.
$node->sql(
	q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	WHERE backend_type = 'jobq executor'});
poll_ok(
	$node,
	q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'jobq executor'},
	'no executor is there that knows the old setting');
as('bob', wait_for_word('third', 1));
poll_ok($node, running('bob', 1), 'one role works');
as('alice', wait_for_word('fourth', 2));
poll_ok($node, running('alice', 1), 'another role works, which has work for two');
poll_ok(
	$node,
	coordinator_sleeps('postgres'),
	'there is no slot for a second executor of the other role');
$node->sql(q{INSERT INTO go VALUES ('third')});
poll_ok($node, running('alice', 2), 'the executor of the other role makes room');
$node->sql(q{INSERT INTO go VALUES ('fourth')});
poll_ok($node, running('alice', 0), 'all is done');

done_testing();
