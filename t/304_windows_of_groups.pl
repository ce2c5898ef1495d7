# t/304_windows_of_groups.pl: in no window of group_rate_period do more than
# group_rate_limit jobs of a group start, where sessions and executors start them at
# the same time, with rollbacks, in little memory, over restarts and kills.

use strict;
use warnings;

use JobqLimits;
use JobqSession;
use JobqTest;
use Test::More;

my $node = limits_node(3, 'jobq.shared_memory = 8MB');
seed_random();

# The limit, the period in microseconds, the burst: T is 1 ms, 100 ms and 10 s, without a
# burst and with one.
my %rates = (
	ms => [ 100, 100_000, 1 ],
	ms_burst => [ 200, 100_000, 101 ],
	tenth => [ 10, 1_000_000, 1 ],
	tenth_burst => [ 14, 1_000_000, 5 ],
	long => [ 1, 10_000_000, 1 ],
	long_burst => [ 4, 20_000_000, 3 ]);

# Of each rate: a queue for sessions, one for executors, and one of which each group has
# the rate for itself.
create_idle_work($node);
my %rate_of;
foreach my $name (sort keys %rates)
{
	my ($limit, $period, $burst) = @{ $rates{$name} };
	my $rate = "rate_limit => $limit, X_period => '$period us', X_burst => $burst";
	my $of_queue = "group_$rate" =~ s/X/group_rate/gr;
	my $of_group = $rate =~ s/X/rate/gr;

	$node->sql(
		qq{SELECT jobq.create_queue('out_$name', $of_queue, lease => '1 h');
		SELECT jobq.create_queue('run_$name', 'work(jobq.job)', $of_queue, max_attempts => 1000,
			keep_completed => '1 day');
		SELECT jobq.create_queue('own_$name', lease => '1 h');
		SELECT jobq.set_group('own_$name', 'g' || i, $of_group) FROM generate_series(1, 4) AS i});
	$rate_of{"${_}_$name"} = $rates{$name} foreach qw(out run own);
}

# More groups than have room in memory; those of the others are few.
my %ngroups = (out_long => 1800, out_long_burst => 200);

sub add_jobs
{
	my ($queue, $njobs) = @_;
	my $ngroups = $ngroups{$queue} // 4;
	$node->sql(
		qq{SELECT count(*) FROM jobq.enqueue_many('$queue', array_fill('1'::jsonb,
			ARRAY[$ngroups * $njobs]), group_keys => ARRAY(SELECT 'g' || 1 + i % $ngroups
			FROM generate_series(1, $ngroups * $njobs) AS i))});
	return;
}

# What a session does.  It says when jobs have started whose start is rolled back; what is
# committed is in the tables.
my @of_sessions = grep { !/^run_/ } sort keys %rate_of;

sub take_and_tell
{
	my ($queue, $n) = @_;
	return
		"SELECT coalesce(string_agg(id::text, ','), '') AS ids FROM jobq.take('$queue', $n)"
	  . " \\gset\n"
	  . q{SELECT 'undone ' || queue, group_key, (extract(epoch FROM started_at) * 1000000)::bigint
		FROM jobq.jobs WHERE id = ANY (string_to_array(:'ids', ',')::bigint[]);} . "\n";
}

sub statements
{
	my $sql = '';

	for (1 .. 120)
	{
		my ($queue, $other) = map { $of_sessions[ rand(@of_sessions) ] } 1 .. 2;
		my $n = 1 + int(rand(20));
		my $how = int(rand(4));

		$sql .=
			$how == 0 ? "SELECT count(*) FROM jobq.dequeue('$queue', $n);\n"
		  : $how == 1 ? "SELECT count(*) FROM jobq.dequeue_any('{$queue,$other}', $n);\n"
		  : $how == 2 ? "BEGIN;\nSELECT count(*) FROM jobq.take('$queue', $n);\nSAVEPOINT s;\n"
		  . take_and_tell($other, $n)
		  . "ROLLBACK TO s;\nCOMMIT;\n"
		  : "BEGIN;\n" . take_and_tell($queue, $n) . "ROLLBACK;\n";
	}
	return $sql;
}

# The starts of jobs, by queue and group.
my %starts;

# Those that were rolled back, by round: they count as well; if their interval is a second
# or more, until the server is stopped.
my %undone;

sub note_undone
{
	my ($output, $round) = @_;
	push @{ $undone{"$1 $2"} }, [ $round, $3 ] while $output =~ /^undone (\w+)\|(\w+)\|(\d+)$/gm;
	return;
}

# When each round has begun.
my @begun;

sub read_starts
{
	%starts = ();
	foreach my $line (
		split /\n/,
		$node->sql(
			q{SELECT queue, group_key, (extract(epoch FROM started_at) * 1000000)::bigint
			FROM jobq.jobs WHERE started_at IS NOT NULL}))
	{
		my ($queue, $group, $time) = split /\|/, $line;
		my $round = grep { $_ <= $time } @begun;

		push @{ $starts{"$queue $group"} }, $time;
		push @{ $starts{"$queue $group in $round"} }, $time unless $queue =~ /^run/;
	}
	foreach my $key (keys %undone)
	{
		foreach my $start (@{ $undone{$key} })
		{
			my ($round, $time) = @$start;
			push @{ $starts{$key} }, $time unless $key =~ /_long/;
			push @{ $starts{"$key in $round"} }, $time;
		}
	}
	return;
}

# The windows in which there are more starts than the limit.
sub bad_windows
{
	my @bad;

	read_starts();
	foreach my $key (sort keys %starts)
	{
		my ($queue) = split / /, $key;
		my ($limit, $period) = @{ $rate_of{$queue} };
		my @times = sort { $a <=> $b } @{ $starts{$key} };

		foreach my $i ($limit .. $#times)
		{
			push @bad, "$key: " . join(' ', @times[ $i - $limit .. $i ])
			  if $times[$i] - $times[ $i - $limit ] < $period;
		}
	}
	return join("\n", @bad);
}

# All sessions end when the server crashes, so what they do in a round is in one go.
for my $round (1 .. 6)
{
	my @sessions = map { start_session($node, name => "taker$_") } 1 .. 3;

	add_jobs($_, /_ms/ ? 200 : $ngroups{$_} ? 1 : 6) foreach sort keys %rate_of;
	push @begun, $node->sql('SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint');
	order($_, statements()) foreach @sessions;
	disturb($node, 0.5, $round) if $round > 1;
	foreach my $session (@sessions)
	{
		eval { answer($session); end_session($session) };
		unlike($session->{out}, qr/ERROR/, "round $round: no error")
		  unless $session->{out} =~ /terminat/;
		note_undone($session->{out}, $round);
	}
	is(bad_windows(), '', "round $round: no window has more starts than it may");
}

# Each queue has started jobs of each group; those that executors run go on.
foreach my $queue (grep { /^run_/ } sort keys %rate_of)
{
	poll_ok(
		$node,
		"SELECT count(DISTINCT group_key) FROM jobq.jobs
			WHERE queue = '$queue' AND state = 'completed'",
		"$queue: jobs of each group are run",
		expected => '4');
}
is(bad_windows(), '', 'at the end: no window has more starts than it may');
foreach my $queue (@of_sessions)
{
	my %groups = map { (/^$queue (\w+)/ ? ($1 => 1) : ()) } keys %starts;
	cmp_ok(scalar(keys %groups), '>=', 4, "$queue: jobs of several groups have started");
}
note(scalar(map { @{ $starts{$_} } } grep { !/ in / } keys %starts) . ' starts');
note(scalar(map { @$_ } values %undone) . ' of them rolled back');
limits_settled($node, 'at the end');

$node->stop;
done_testing();
