# t/306_groups_of_limits_in_little_memory.pl: queues share a limit with
# max_running_per_group, and memory has room for a small part of their groups: each job
# is run, and no more of a group key at the same time than the limit lets in.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

# Room for some 300 groups, of which one role gets half; each takes two places.
my $node = jobq_node(
	'main',
	conf => [
		'jobq.max_workers = 3',
		'jobq.shared_memory = 1MB',
		'jobq.sweep_interval = 0',
		"jobq.log_jobs = 'none'",
		'fsync = off'
	]);
my $groups = 400;

$node->sql(
	qq{CREATE TABLE ran (id bigint PRIMARY KEY);
	CREATE SEQUENCE overlap_number;
	CREATE FUNCTION work(j jobq.job) RETURNS void LANGUAGE plpgsql AS \$\$ BEGIN
		-- not until the end of the transaction, which gives locks back last of all
		IF pg_try_advisory_lock(hashtext(j.group_key)) THEN
			INSERT INTO public.ran VALUES (j.id);
			PERFORM pg_advisory_unlock(hashtext(j.group_key));
		ELSE
			INSERT INTO public.ran VALUES (j.id);
			PERFORM nextval('public.overlap_number');
		END IF;
	END\$\$;
	SELECT jobq.create_limit('l', max_running_per_group => 1);
	SELECT jobq.create_queue('q' || n, 'work(jobq.job)', shared_limit => 'l')
		FROM generate_series(1, 2) AS n;
	SELECT jobq.create_queue('held', shared_limit => 'l', lease => '1 day');
	SELECT jobq.enqueue('held', group_key => 'g' || n) FROM generate_series(1, 40) AS n});

# Groups that wait for those of another queue take room from others, which run.
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('held', 40)}), '40', 'jobs of one queue run');
$node->sql(
	qq{SELECT count(*) FROM generate_series(1, 2) AS q, jobq.enqueue_many('q' || q,
		array_fill('1'::jsonb, '{$groups}'),
		group_keys => ARRAY(SELECT 'g' || n FROM generate_series(1, $groups) AS n))});
poll_ok(
	$node,
	'SELECT count(*) FROM ran',
	'all others have been run',
	expected => 2 * ($groups - 40),
	seconds => 180);
is( $node->sql(
		q{SELECT count(*) FROM jobq.jobs WHERE queue ~ '^q' AND group_key IN (
			SELECT group_key FROM jobq.jobs WHERE queue = 'held')}),
	80,
	'those with the keys of jobs that run wait');
$node->sql(q{SELECT jobq.complete(j.id, j.lease) FROM jobq_store.job AS j WHERE state = 1});
poll_ok(
	$node,
	'SELECT count(*) FROM ran',
	'they are run when those have ended',
	expected => 2 * $groups,
	seconds => 180);
is($node->sql('SELECT is_called FROM overlap_number'), 'f', 'no two of a key ran together');
limits_settled($node, 'at the end');

$node->stop;
done_testing();
