# test/kills/kills.pl: limits and rates are exact at every moment, whatever is killed.
#
# Executors and clients work at queues with limits of 1 and 3 of each kind, and at queues
# with rates, while one after the other is killed (SIGKILL) in the middle of a job: a
# client that holds a lease, one in whose transaction a job is done, an executor, the
# coordinator, the postmaster (every other time the server is stopped with -m immediate
# instead).  Jobs tell the server's log when they start and end, and JobqWitness.pm
# judges by that, from outside.  The result is a table in Markdown, which is also written
# to kills.md among the logs:
#   starts      of jobs, those that were killed and done again included
#   most        of them that were seen to run at the same time
#   above       starts at which more ran than the limit lets in
#   overtaken   starts at which an older job of a serial group had not been done
#   lost        jobs that were added and not done, or done more than once
#   next start  milliseconds from the kill to the next start of a job of the killed one's
#               limit (after a crash: of any), median and longest; and from the
#               moment on at which the server takes connections again
#
# JOBQ_ROUNDS is for how many of each are killed (1), JOBQ_SEED repeats the choices.
# With JOBQ_KILLS_LOOSE=1 limits and rates let one more in than what is judged: to see
# that this is found.  "make kills ROUNDS=20" runs it; it is no part of "make test".

use strict;
use warnings;

use JobqClients;
use JobqTest;
use JobqWitness;
use List::Util qw(max sum0);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $here = source_dir() . '/test/kills';
my $rounds = $ENV{JOBQ_ROUNDS} || 1;
my $seed = $ENV{JOBQ_SEED} || int(rand(1e9)) + 1;
my $loose = $ENV{JOBQ_KILLS_LOOSE} || 0;
my $backlog = 40;    # jobs of a queue and scope, for each that may run

# The kinds of limits; of each there is one of 1 and one of 3. Scopes are named
# after them: q1, g3/a, k3/a.
my @kinds = (
	[ q => 'max_running' ],
	[ g => 'max_running_per_group' ],
	[ s => 'max_running of a shared limit' ],
	[ k => 'max_running_per_group of a shared limit' ]);
my @groups = qw(a b);

# n starts per period, with a burst; milliseconds. 0: of a queue, 1: of a shared limit.
my %rates = (
	'1 ms' => [ 10, 10, 1 ],
	'100 ms' => [ 10, 1_000, 1 ],
	'10 s' => [ 2, 10_000, 2 ]);
my @rated;

my @victims = (
	lent => 'client with a lease',
	taken => 'client in a transaction',
	executor => 'executor',
	coordinator => 'coordinator',
	server => 'server');

srand($seed);
note("JOBQ_SEED=$seed");

my $node = jobq_node(
	'main',
	conf => [
		'fsync = off',
		'max_connections = 100',
		'log_statement = none',
		'log_min_error_statement = panic',
		'log_error_verbosity = terse',
		'autovacuum_naptime = 5s',
		'jobq.max_workers = 14',
		"jobq.log_jobs = 'none'"
	]);
$node->sql(slurp_file("$here/schema.sql"));

# ----------------------------------------------------------------- the queues

my (@limit_names, %limits, @serial, %queues, %clients, %handlers, %backlog);

# Two queues for a shared limit, whose jobs are run by functions and by procedures.
sub create_limited
{
	my ($kind, $n) = @_;
	my $name = $kind . $n;
	my $max = $n + $loose;
	my $per_group = $kind =~ /[gk]/;
	my $option = ($per_group ? 'max_running_per_group' : 'max_running') . " => $max";
	my $common = "max_attempts => 100000, backoff => 'fixed', backoff_base => '1 ms', "
	  . "jitter => 0, lease => '1 s'";
	my @queues = ($name);

	if ($kind =~ /[sk]/)
	{
		@queues = ("${name}_1", "${name}_2");
		$node->sql("SELECT jobq.create_limit('$name', $option)");
		$option = "shared_limit => '$name'";
	}
	$handlers{$_} = /_2/ ? 'work_alone' : 'work' foreach @queues;
	$node->sql("SELECT jobq.create_queue('$_', $common, $option)") foreach @queues;
	foreach my $scope ($per_group ? map { "$name/$_" } @groups : $name)
	{
		$limits{$scope} = $n;
		$queues{$scope} = \@queues;
		push @serial, $scope if $kind eq 'g' && $n == 1;
		$node->sql("INSERT INTO kills.place SELECT '$scope', generate_series(1, $n)");
	}
	push @limit_names, $name;
	add_client('lent', $queues[0], $_)   foreach 0 .. $n;
	add_client('taken', $queues[-1], $_) foreach 1 .. ($n + 1) / 2;
	return;
}

# One queue with a rate of its own, and two that share one.
sub create_rated
{
	my ($t) = @_;
	my ($n, $period, $burst) = @{ $rates{$t} };
	my $rate = sprintf(
		"rate_limit => %d, rate_period => '%d ms', rate_burst => %d",
		$n + $loose,
		$period, $burst + $loose);
	my $name = 'r' . @rated;

	$node->sql(
		qq{SELECT jobq.create_limit('${name}_shared', $rate);
		SELECT jobq.create_queue('${name}', 'kills.start_alone(jobq.job)', $rate);
		SELECT jobq.create_queue('${name}_shared_1', 'kills.start(jobq.job)',
			shared_limit => '${name}_shared');
		SELECT jobq.create_queue('${name}_shared_2', shared_limit => '${name}_shared');});
	# those that are left in the end have to be run
	@backlog{ $name, "${name}_shared" } = (2, 1) if $n < 10;
	$queues{$name} = [$name];
	$queues{"${name}_shared"} = [ "${name}_shared_1", "${name}_shared_2" ];
	push @rated, [ $name, 'queue', $t, $n, $period ],
	  [ "${name}_shared", 'shared', $t, $n, $period ];
	add_client('rated', $name, 1);
	add_client('rated', "${name}_shared_2", 1);
	return;
}

sub add_client
{
	my ($script, $queue, $number) = @_;
	my $name = "${script}_${queue}_$number";
	$clients{$name} = client_start(
		$node, $name,
		slurp_file("$here/clients/$script.sql"),
		variables => { queue => $queue });
	return;
}

# Adds jobs, so that each scope has enough of them.
my $added_for;

sub top_up
{
	my $sql = '';
	foreach my $scope (sort keys %queues)
	{
		my $group = $scope =~ m{/(.*)} ? "'$1'" : 'NULL';
		my $n = $backlog{$scope} // $backlog * ($limits{$scope} // 1);
		$sql .= "SELECT kills.top_up('$_', '$scope', $group, $n, '$added_for');\n"
		  foreach @{ $queues{$scope} };
	}
	$node->sql($sql);
	return;
}

# Whether executors run the jobs, too: they get most of them.
sub set_handlers
{
	my ($are_set) = @_;
	foreach my $queue (sort keys %handlers)
	{
		$node->sql(
			$are_set
			? "SELECT jobq.alter_queue('$queue', 'kills.$handlers{$queue}(jobq.job)')"
			: "SELECT jobq.reset_queue('$queue', 'handler')");
	}
	return;
}

# ------------------------------------------------------------------ the kills

# What was killed is written to the log, too, beside what the server writes. Returns the
# place in the log.
sub mark
{
	my ($victim, $scope) = @_;
	my $from = log_position($node);
	append_to_file($node->logfile,
		sprintf("witness kill %s %s %d\n", $victim, $scope, time() * 1e6));
	return $from;
}

# Waits until the log has that, from a place on, and returns what was captured; there
# are jobs all the time.
sub wait_for_line
{
	my ($from, $pattern) = @_;
	my $end = time() + wait_limit();

	for (my $n = 1;; $n++)
	{
		my @found = log_since($node, $from) =~ $pattern;
		return @found if @found;
		die "not in the log: $pattern\n" if time() > $end;
		top_up() if $n % 200 == 0;
		usleep(2000);
	}
}

# Waits until jobs of these scopes have started, after a place in the log.
sub wait_for_starts
{
	my ($from, @scopes) = @_;
	wait_for_line($from, qr/witness start (\Q$_\E) /) foreach @scopes;
	return;
}

# Kills a client of each limit in turn.
sub kill_clients
{
	my ($victim) = @_;
	foreach my $limit (@limit_names)
	{
		my ($name, $scope) = wait_for_line(log_position($node),
			qr/client backend (${victim}_$limit\S*) .*witness start (\S+)/);
		my $from = mark($victim, $scope);
		kill('KILL', client_pids($clients{$name}));
		wait_for_starts($from, $scope);
	}
	return;
}

# Crashes the server by that.
sub crash
{
	my ($victim, $round) = @_;
	my $from = log_position($node);

	if ($victim eq 'server')
	{
		my @pids = worker_pids($node, '%');
		$from = mark($victim, '-');
		if   ($round % 2) { $node->kill9; }
		else              { $node->stop('immediate'); }
		poll_until(
			sub {
				return !grep { kill(0, $_) } @pids;
			}) or die "processes are left\n";
		poll_until(sub { $node->start(fail_ok => 1) }) or die "the server does not start\n";
	}
	else
	{
		my ($pid) =
		  $victim eq 'executor'
		  ? wait_for_line($from, qr/\[(\d+)\] jobq executor .*witness start/)
		  : wait_for_worker($node, 'jobq coordinator');
		crash_and_recover($node, sub { $from = mark($victim, '-'); kill('KILL', $pid); });
	}
	wait_for_starts($from, keys %limits);
	return;
}

# In the first ones, only clients run jobs. Rounds of each kind, one after the other.
foreach my $kind (@kinds)
{
	create_limited($kind->[0], $_) for 1, 3;
}
create_rated($_) foreach sort keys %rates;
for (my $i = 0; $i < @victims; $i += 2)
{
	my ($victim, $name) = @victims[ $i, $i + 1 ];
	my $began = time();

	$added_for = $victim;
	set_handlers(1) if $victim eq 'executor';
	for my $round (1 .. $rounds)
	{
		top_up();
		usleep(rand(300_000));
		if   ($victim =~ /lent|taken/) { kill_clients($victim); }
		else                           { crash($victim, $round); }
	}
	note(sprintf('%s: %d kills in %.0f s', $name, $rounds, time() - $began));
}
set_handlers(1);
all_jobs_run($node, 'in the end');
limits_settled($node, 'in the end');

# ----------------------------------------------------------------- the verdict

my $judge = JobqWitness->new(limits => \%limits, serial => \@serial);
client_kill($node, values %clients);
$judge->read_lines(split /\n/, log_since($node, 0));
foreach my $line (
	split /\n/,
	$node->sql(
		q{SELECT payload ->> 'scope', id, kills.microseconds(started_at) FROM jobq.jobs
		WHERE payload ->> 'scope' ~ '^r' AND started_at IS NOT NULL}))
{
	$judge->add_start(split /\|/, $line);
}
my $verdict = $judge->verdict;

# Jobs of these scopes that have no effect, or one too many.
sub lost
{
	my ($victim, $scopes) = @_;
	return $node->sql(
		qq{SELECT count(*) FROM kills.added AS a WHERE a.scope ~ '$scopes' AND a.victim = '$victim'
		AND NOT EXISTS (SELECT FROM kills.effect AS e WHERE e.job = a.job
			HAVING count(*) = 1 OR bool_or(e.alone))});
}

# Median and longest, in milliseconds.
sub milliseconds
{
	my (@us) = sort { $a <=> $b } @_;
	return '-' unless @us;
	return sprintf('%.0f / %.0f', $us[ $#us / 2 ] / 1000, $us[-1] / 1000);
}

my @table = (
	'| limit | of | killed | kills | starts | most | above | overtaken | lost |'
	  . ' next start | when ready |',
	'|---|---|---|---|---|---|---|---|---|---|---|');
my %sum = map { ($_ => 0) } qw(above overtaken lost windows starts);

# Adds a line to the table: a limit and what was killed.
sub judge_limit
{
	my ($kind, $kind_name, $n, $victim, $victim_name) = @_;
	my @of = map { $verdict->{$victim}{$_} // () } grep { /^$kind$n/ } keys %limits;
	my ($after, $ready) = $judge->next_starts($victim, qr/^$kind$n/);
	my $lost = lost($victim, "^$kind$n");
	my %line = map {
		my $what = $_;
		($what => sum0(map { $_->{$what} } @of))
	} qw(starts above overtaken);

	push @table,
	  '| '
	  . join(' | ',
		$kind_name, $n,
		$victim_name, $rounds,
		$line{starts}, max(0, map { $_->{most} } @of),
		$line{above}, "$kind$n" eq 'g1' ? $line{overtaken} : '',
		$lost, milliseconds(@$after),
		milliseconds(@$ready))
	  . ' |';
	$sum{$_}   += $line{$_} foreach qw(starts above overtaken);
	$sum{lost} += $lost;
	return;
}

# Adds a line: a rate, over all kills.
sub judge_rate
{
	my ($scope, $of, $t, $n, $period) = @_;
	my ($starts, $most, $above) = $judge->rate($scope, $n, $period * 1000);

	push @table, '| ' . join(' | ', $t, $of, "$n per $period ms", $starts, $most, $above) . ' |';
	$sum{windows} += $above;
	$sum{lost}    += lost($victims[ 2 * $_ ], "^$scope\$") for 0 .. $#victims / 2;
	return;
}

foreach my $kind (@kinds)
{
	foreach my $n (1, 3)
	{
		judge_limit(@$kind, $n, @victims[ 2 * $_, 2 * $_ + 1 ]) for 0 .. $#victims / 2;
	}
}
push @table, '', '| T | rate of | starts allowed | starts | most in a window | windows above |',
  '|---|---|---|---|---|---|';
judge_rate(@$_) foreach @rated;
append_to_file("$PostgreSQL::Test::Utils::log_path/kills.md", join("\n", @table, ''));
diag(join("\n", "JOBQ_SEED=$seed", @table));

cmp_ok($sum{starts}, '>', 0, "$sum{starts} starts are witnessed");
is($sum{above}, 0, 'no more ran than a limit lets in');
is($sum{overtaken}, 0, 'no job of a serial group was overtaken');
is($sum{lost}, 0, 'no job was lost or done twice');
is($sum{windows}, 0, 'no window has more starts than the rate');

$node->stop;
done_testing();
