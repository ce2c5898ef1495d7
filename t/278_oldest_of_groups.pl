# t/278_oldest_of_groups.pl: a full queue with groups drops the job that has waited
# longest, whether its group may start one or not: it may be full, paused, throttled,
# wait for a full batch or for a retry.

use strict;
use warnings;

use JobqLimits;
use JobqSession;
use JobqTest;
use Test::More;

# Few buffers: a call that pins a page for each job that it looks at fails.
my $node = jobq_node(
	'main',
	conf => [
		'jobq.max_workers = 1',
		'jobq.sweep_interval = 0',
		"jobq.log_jobs = 'none'",
		'shared_buffers = 1MB',
		'fsync = off'
	]);
my $full = q{on_full => 'drop_oldest', lease => '1 h'};

# Adds a job to a group; '' is none.
sub add
{
	my ($queue, $payload, $group, $options) = @_;
	$options = $options ? ", $options" : '';
	$node->sql(
		qq{SELECT jobq.enqueue('$queue', '"$payload"', group_key => nullif('$group', '')$options)});
	return;
}

sub left
{
	my ($queue) = @_;
	return $node->sql(
		qq{SELECT string_agg(payload #>> '{}' || CASE state WHEN 'ready' THEN '' ELSE ' ' || state
			END, ', ' ORDER BY id) FROM jobq.jobs
		WHERE queue = '$queue' AND state IN ('ready', 'scheduled', 'running')});
}

# ------------------------------------------------------- groups that start nothing

my %stopped = (
	'waits for a full batch' => [ q{batch_size => 10, batch_wait => '1 h'}, '' ],
	'is throttled' => [ '', q{SELECT jobq.throttle('q', '1 h', 'a')} ],
	'is paused' => [ '', q{SELECT jobq.pause('q', 'a')} ],
	'may run no other job' =>
	  [ 'max_running_per_group => 1', q{SELECT count(*) FROM jobq.dequeue('q', 1, '1 h')} ],
	'may run no other job by its own limit' => [
		'',
		q{SELECT jobq.set_group('q', 'a', max_running => 1);
		SELECT count(*) FROM jobq.dequeue('q', 1, '1 h')}
	],
	'waits for a retry' => [
		'max_running_per_group => 1',
		q{SELECT jobq.fail(id, lease, 'x', retry_in => '1 h') FROM jobq.dequeue('q', 1, '1 h')}
	]);

# A new job, and the one that makes room for it.
my @steps = (
	[ 'b3', 'b', 'a1', 'its oldest job is dropped' ],
	[ 'c1', 'c', 'b1', 'that of another one is dropped' ],
	[ 'c2', 'c', 'a2', 'then its next one' ],
	[ 'd1', 'd', 'x1', 'one without a group' ],
	[ 'd2', 'd', 'b2', 'and so on' ],
	[ 'd3', 'd', 'b3', 'one after the other' ],
	[ 'd4', 'd', 'c1', 'whatever its priority' ]);

foreach my $lifo ('false', 'true')
{
	foreach my $why (sort keys %stopped)
	{
		my ($options, $stop) = @{ $stopped{$why} };
		my $has_first = $stop =~ /dequeue/ ? 1 : 0;
		my @waiting = qw(a1 b1 a2 x1 b2);
		my $name = "a group that $why (lifo $lifo)";
		my $first;

		$options = ", $options" if $options;
		$node->sql(
			sprintf(
				q{SELECT jobq.create_queue('q', max_queued => %d, lifo => %s, %s%s)},
				5 + $has_first,
				$lifo, $full, $options));
		add('q', 'first', 'a') if $has_first;
		$node->sql($stop) if $stop;
		$first = left('q');
		$first .= ', ' if $has_first;
		add('q', $_, $_ =~ s/\d//r =~ s/x//r) foreach @waiting;

		foreach my $step (@steps)
		{
			my ($new, $group, $dropped, $what) = @$step;
			my $priority = $new eq 'c1' ? 'priority => 5' : '';

			add('q', $new, $group, $priority);
			@waiting = grep { $_ ne $dropped } @waiting, $new;
			is(left('q'), $first . join(', ', @waiting), "$name: $what");
		}
		$node->sql(q{SELECT jobq.drop_queue('q', force => true)});
	}
}

# --------------------------------------------------------- it may come back

# A serial group waits for the transaction that has dropped its first job.
my $session = start_session($node);
$node->sql(qq{SELECT jobq.create_queue('q', max_queued => 3, max_running_per_group => 1, $full)});
add('q', $_, 'a') foreach 1 .. 3;
ask($session, q{BEGIN; SELECT FROM jobq.enqueue('q', '"4"', group_key => 'b')});
is(claim_jobs($node, 'q', 5), '', 'the first job is dropped, but not for good: none overtakes it');
ask($session, q{ROLLBACK});
is(claim_jobs($node, 'q', 5), '1', 'it has come back');
ask($session, q{BEGIN; SELECT FROM jobq.enqueue('q', '"4"', group_key => 'b')});
is(left('q'), '1 running, 2, 3', 'another one is dropped behind a running job');
end_running($node, 'q', 'complete(j.id, j.lease)');
is(claim_jobs($node, 'q', 5), '', 'the dropped job behind a running one is not overtaken either');
ask($session, q{COMMIT});
poll_ok(
	$node,
	q{SELECT string_agg(payload #>> '{}', ' ') FROM jobq.dequeue('q', 5)},
	'the commit lets the others start',
	expected => '3 4');
end_running($node, 'q', 'complete(j.id, j.lease)');
is(left('q'), '', 'none is left');

# What a transaction takes back can be dropped again.
add('q', $_, 'a') foreach 5 .. 7;
ask($session, q{BEGIN; SAVEPOINT s; SELECT FROM jobq.enqueue('q', '"8"', group_key => 'b');
	SELECT FROM jobq.enqueue('q', '"9"', group_key => 'c'); ROLLBACK TO s;
	SELECT FROM jobq.enqueue('q', '"10"', group_key => 'd'); COMMIT});
is(left('q'), '6, 7, 10', 'after a rollback to a savepoint the oldest is dropped again');
ask($session, q{SELECT FROM jobq.enqueue('q', '"11"', group_key => 'd')});
is(left('q'), '7, 10, 11', 'the next transaction drops the next one');
like(
	ask($session,
		q{BEGIN; SELECT FROM jobq.enqueue_many('q', '{1,2,3}'); SELECT FROM jobq.enqueue('q');
		SELECT count(*) FROM jobq.jobs WHERE queue = 'q' AND state = 'ready'; ROLLBACK}),
	qr/^3$/m,
	'a transaction drops its own jobs');
is(left('q'), '7, 10, 11', 'a rollback brings all back');
ask($session, q{SELECT FROM jobq.enqueue('q', '"12"', group_key => 'e')});
is(left('q'), '10, 11, 12', 'the oldest of them is dropped next');
$node->sql(q{SELECT jobq.drop_queue('q', force => true)});

# ------------------------------------------------------------ very many groups

my $entries_read = q{SELECT pg_stat_get_xact_tuples_returned('jobq_store.job_group'::regclass)};

# Jobs of which few fit on a page, each of a group by itself.
foreach my $options ('', ', lifo => true', ', max_running_per_group => 1')
{
	my $many = q{ARRAY(SELECT to_jsonb(n || repeat(md5(n::text), 50))
		FROM generate_series(1, 2000) AS n), group_keys => ARRAY(SELECT 'g' || n
		FROM generate_series(1, 2000) AS n)};

	$node->sql(
		qq{SELECT jobq.create_queue('q', max_queued => 2000, keep_dead => '0', $full$options);
		SELECT FROM jobq.enqueue_many('q', $many)});
	# the counter may still have what earlier transactions of the session have read
	my ($before, $after) = split(
		/\n/,
		ask($session, "BEGIN; $entries_read;"
			  . q{ DO $$BEGIN FOR i IN 1 .. 1000 LOOP
			PERFORM jobq.enqueue('q', to_jsonb(i), group_key => 'h' || i); END LOOP; END$$; }
			  . "$entries_read; COMMIT"));
	cmp_ok($after - $before, '<', 20_000, "one after the other, index entries read$options");
	is( $node->sql(
			q{SELECT count(*), count(*) FILTER (WHERE group_key LIKE 'h%') FROM jobq.jobs
			WHERE queue = 'q' AND state = 'ready'}),
		'2000|1000',
		"the older ones are dropped$options");
	is($node->sql(qq{SELECT count(*) FROM jobq.enqueue_many('q', $many)}),
		'2000', "all at a time$options");
	is( $node->sql(
			q{SELECT count(*) FROM jobq.jobs WHERE queue = 'q' AND state = 'ready'
			AND length(payload #>> '{}') > 9}),
		'2000',
		"all others are dropped$options");
	$node->sql(q{SELECT jobq.drop_queue('q', force => true)});
}

end_session($session);
$node->stop;
done_testing();
