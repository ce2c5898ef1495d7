# JobqFlowTest.pm
#
# Random operations on queues with limits of all kinds, in one session, each compared with
# what a model (JobqFlowModel.pm) says of it: which jobs, in which order, which error, how
# many.  In the end all jobs must be found.
#
#   flow_test(operations => 40_000, restarts => 10_000);
#
# JOBQ_FLOW_SEED is the seed, JOBQ_FLOW_OPERATIONS how many operations there are, and
# JOBQ_FLOW_RESTARTS after how many the server is restarted each time (0: never).  With
# JOBQ_FLOW_GROUPS=0 there are no queues with groups, which take more time: the model waits
# for the server at each of their claims, as it has to know which group had its turn.  A
# failure prints the seed and the last operations; a file among the logs has all.
# With JOBQ_FLOW_TRACE set, another one has the model's state after each.

package JobqFlowTest;

use strict;
use warnings;

use Exporter 'import';
use File::Basename qw(basename);
use JobqFlowModel;
use JobqLimits qw(take_group_room);
use JobqSession;
use JobqTest;
use List::Util qw(first max sum);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

our @EXPORT = qw(flow_test);

# Operations that the server is given at once; after how many everything is compared.
my ($chunk_size, $check_every) = (400, 500);

# A tick of the model, and more ticks than any span has: within these, less real time than a
# tick must pass.  The longest lease has five: if it were longer than an hour, the lease
# would not be in memory, and a limit that is set later would have to wait until the
# running jobs are counted.
my ($tick_minutes, $longest_span) = (10, 10);

# Those in which jobs have groups come last.
my @in_groups = $ENV{JOBQ_FLOW_GROUPS} // 1 ? qw(g h) : ();
my @queues = (qw(a b c d), @in_groups);
my %in_groups = map { ($_ => 1) } @in_groups;
my @groups = qw(k l m n);
my @limits = qw(x y);

# psql has variables for the ids of jobs and for leases, which are used again.
my ($max_jobs, $max_leases) = (320, 160);

# The server, the session there, and the model.
my ($node, $session, $model);

# What is sent, and what must come: a list of [operation, SQL, lines of output].  Where the
# model must be told what the server has chosen, a function of the lines gives those
# that are expected.
my (@chunk, @all);
my $done = 0;
my $directory;

# The server.

# Functions that the test calls, in SQL.
my $functions = q{
CREATE FUNCTION settle() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	differences text;
BEGIN
	FOR i IN 1 .. 10000 LOOP
		SELECT string_agg(f::text, ' ') INTO differences FROM jobq_store.flow_check() AS f;
		IF differences IS NULL AND NOT EXISTS (SELECT FROM jobq_store.job
			WHERE state = 1 AND lease_until <= clock.advance('0')
			OR state = 0 AND expires_at <= clock.advance('0')) THEN
			RETURN 'settled';
		END IF;
		PERFORM pg_sleep(0.001);
	END LOOP;
	RETURN coalesce(differences, 'leases are over');
END$$;

-- what runs; after a restart, for a queue of which that is not known yet it
-- is what is expected
CREATE FUNCTION running(expected int[]) RETURNS int[] LANGUAGE sql AS $$
	SELECT array_agg(CASE WHEN g.counted THEN g.running ELSE e END ORDER BY q.name)
	FROM jobq_store.gates() AS g JOIN jobq_store.queue AS q ON q.id = g.queue
	JOIN unnest(expected) WITH ORDINALITY AS e(e, n)
	ON n = (SELECT count(*) FROM jobq_store.queue AS p WHERE p.name <= q.name)$$;
CREATE FUNCTION running_in_groups(expected text[]) RETURNS text LANGUAGE sql AS $$
	SELECT '{' || string_agg('"' || CASE WHEN g.counted THEN (SELECT
		coalesce(string_agg(s.group_key || ':' || s.running, ' ' ORDER BY s.group_key), '')
		FROM jobq.groups AS s WHERE s.queue = q.name AND s.running > 0)
		ELSE e END || '"', ',' ORDER BY q.name) || '}'
	FROM jobq_store.gates() AS g JOIN jobq_store.queue AS q ON q.id = g.queue
	JOIN unnest(expected) WITH ORDINALITY AS e(e, n)
	ON n = (SELECT count(*) FROM jobq_store.queue AS p WHERE p.name <= q.name)$$;

-- after a restart a limit is unknown until it is used, and for want of room,
-- where that may be
CREATE FUNCTION running_in_limit(this text, expected int, may_be_unknown boolean)
RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 10000 LOOP
		IF expected = (SELECT coalesce(running, CASE WHEN may_be_unknown THEN expected
				ELSE 0 END) FROM jobq.limits WHERE name = this) THEN
			RETURN expected;
		END IF;
		PERFORM pg_sleep(0.001);
	END LOOP;
	RETURN (SELECT running FROM jobq.limits WHERE name = this);
END$$;

-- unfinished jobs of a queue
CREATE FUNCTION live(text) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(payload->>'n', ' ' ORDER BY (payload->>'n')::int), '')
	FROM jobq_store.job AS j JOIN jobq_store.queue AS q ON q.id = j.queue
	WHERE q.name = $1$$;

-- unfinished jobs, in the order in which they start
CREATE FUNCTION all_jobs() RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(concat_ws(':', payload->>'n', state, attempt), ' '
		ORDER BY q.name, j.priority, j.run_at, j.id), '')
	FROM jobq_store.job AS j JOIN jobq_store.queue AS q ON q.id = j.queue
	WHERE q.name !~ '^z'$$};

sub create_queues
{
	my ($lease, $backoff) = (ticks(JobqFlowModel::LEASE), ticks(JobqFlowModel::BACKOFF));

	for my $queue (@queues)
	{
		$node->sql(
			qq{SELECT jobq.create_queue('$queue', max_attempts => 3, lease => $lease,
				backoff => 'fixed', backoff_base => $backoff, jitter => 0,
				keep_completed => '10 years', keep_dead => '10 years')});
	}

	# Each limit has a queue without jobs, too, and counts the groups of its queues from the
	# beginning.  Those with groups share one until that is changed.
	$node->sql(
		"SELECT jobq.create_limit('$_', max_running_per_group => 2),
			jobq.create_queue('of_$_', shared_limit => '$_')") for @limits;
	$node->sql("SELECT jobq.alter_queue('$_', shared_limit => '$limits[0]')") for @in_groups;
	return;
}

# Groups of other queues take all of the memory that there is for them, but for some entries.
sub leave_room
{
	my ($room) = @_;
	take_group_room($node, 'z');
	$node->sql(qq{SELECT jobq.complete(id, lease) FROM jobq_store.job LIMIT $room});
	return;
}

sub start_server
{
	my (%opt) = @_;

	$node = jobq_node(
		'main',
		conf => [
			'jobq.sweep_interval = 0',
			"jobq.log_jobs = 'none'",
			'jobq.max_workers = 1',
			'max_prepared_transactions = 1',
			defined $opt{room} ? 'jobq.shared_memory = 1MB' : ()
		]);
	$node->create_clock;
	$node->sql($functions);
	create_queues();
	leave_room($opt{room}) if defined $opt{room};
	$session = start_session($node, verbosity => 'sqlstate');
	return;
}

# Operations, in SQL.

sub ticks
{
	my ($n) = @_;
	return "'" . $n * $tick_minutes . " min'";
}

# Adds an operation; all lines of its output are known.
sub put
{
	my ($sql, @expected) = @_;
	push @chunk, [ ++$done, $sql, @expected ];
	append_to_file("$directory/model.txt",
		"$done: $sql\n    --> " . join(' / ', @expected) . "\n" . $model->describe)
	  if $ENV{JOBQ_FLOW_TRACE};
	return 1;
}

# Adds an operation whose output the model must know before it goes on.
sub put_and_look
{
	my ($sql, $judge) = @_;
	push @chunk, [ ++$done, $sql, $judge ];
	send_chunk() && receive() or die "FAILED\n";
	append_to_file("$directory/model.txt", "$done: $sql\n" . $model->describe)
	  if $ENV{JOBQ_FLOW_TRACE};
	return 1;
}

# One that gives one value, or fails.
sub put_value
{
	my ($sql, $operation) = @_;
	return put("$sql;", $model->statement($operation));
}

# Variables of psql.

my (@free_jobs, @free_leases, %job_place, %lease_place);

# Outside transactions: those that no job needs any more are free.
sub collect_variables
{
	my @jobs = values %{ $model->{jobs} };
	my @finished = sort { $a->{label} <=> $b->{label} }
	  grep { $_->{state} !~ /^(?:pending|running)$/ } @jobs;
	my (%used, %leases);

	# the oldest of those that are finished are forgotten
	while (@finished > 60)
	{
		my $job = shift @finished;
		delete $model->{jobs}{ $job->{label} };
		delete $job->{queue}{jobs}{ $job->{label} };
	}
	%job_place = map { ($_ => $job_place{$_}) } keys %{ $model->{jobs} };
	$used{$_} = 1 for values %job_place;
	@free_jobs = grep { !$used{$_} } 1 .. $max_jobs;

	%leases = map { ($_->{lease} => $lease_place{ $_->{lease} }) }
	  grep { defined $_->{lease} } values %{ $model->{jobs} };
	%lease_place = %leases;
	%used = map { ($_ => 1) } values %leases;
	@free_leases = grep { !$used{$_} } 1 .. $max_leases;
	return;
}

sub job_variable
{
	my ($label) = @_;
	return "j$job_place{$label}";
}

sub lease_variable
{
	my ($lease) = @_;
	return "l$lease_place{$lease}";
}

# Chance.

sub chance
{
	my ($of) = @_;
	return rand() < $of;
}

sub number
{
	my ($from, $to) = @_;
	return $from + int(rand($to - $from + 1));
}

sub one_of
{
	my (@list) = @_;
	return @list ? $list[ rand(@list) ] : undef;
}

# A job in one of these states, of any queue.
sub some_job
{
	my ($states) = @_;
	return one_of(
		grep { $_->{state} =~ /^(?:$states)$/ }
		map { $model->{jobs}{$_} } sort { $a <=> $b } keys %{ $model->{jobs} });
}

# The label of a job that is held, and its lease; now and then one that was lost.
my @old_leases;

sub some_lease
{
	my $job = some_job('running');
	my $old = one_of(@old_leases);

	if ($old && chance(0.05) && $job_place{ $old->[0] } && $lease_place{ $old->[1] })
	{
		return @$old;
	}
	return unless $job;
	push @old_leases, [ $job->{label}, $job->{lease} ];
	shift @old_leases if @old_leases > 5;
	return ($job->{label}, $job->{lease});
}

# The operations. Each returns whether it could be done.

sub enqueue
{
	my $queue = one_of(@queues);
	my %opt;
	my $options = '';
	my $label;

	return if $model->live($queue) > 50 || !@free_jobs;
	if (chance(0.3))
	{
		$opt{delay} = number(0, 3);
		$options .= ', delay => ' . ticks($opt{delay});
	}
	if (chance(0.3))
	{
		$opt{priority} = number(-2, 2);
		$options .= ", priority => $opt{priority}";
	}
	if (chance(0.1))
	{
		$opt{max_attempts} = number(1, 2);
		$options .= ", max_attempts => $opt{max_attempts}";
	}
	if (chance(0.15))
	{
		$opt{ttl} = number(1, 3);
		$options .= ', ttl => ' . ticks($opt{ttl});
	}
	if ($in_groups{$queue} && chance(0.8))
	{
		$opt{groups} = [ one_of(@groups) ];
		$options .= ", group_key => '$opt{groups}[0]'";
	}
	$label = ++$model->{labels};
	$job_place{$label} = shift @free_jobs;
	my $variable = job_variable($label);
	return put_enqueue(
		$queue,
		"\\unset $variable\n"
		  . "SELECT jobq.enqueue('$queue', '{\"n\": $label}'$options) AS $variable \\gset\n"
		  . "\\echo :{?$variable}",
		sub { $model->enqueue($queue, %opt, labels => [$label]) },
		sub {
			my ($jobs) = @_;
			return ref $jobs ? (@$jobs ? 'TRUE' : 'FALSE') : ($jobs, 'FALSE');
		});
}

# Jobs are added in some way; which lines that gives is told by another function.  The
# model has to know which jobs were dropped, unless they are the first ones.
sub put_enqueue
{
	my ($queue, $sql, $operation, $lines) = @_;
	my $drops = $model->{queues}{$queue}{max_queued}
	  && $model->{queues}{$queue}{on_full} eq 'drop_oldest';

	return put($sql, $lines->($model->statement($operation)))
	  if !$drops
	  || $model->{aborted}
	  || !($in_groups{$queue} || $model->{queues}{$queue}{lifo} || $model->{memory_is_short});
	return put_and_look(
		"$sql\nSELECT live('$queue');",
		sub {
			my @got = @_;
			my $live = pop @got;
			my %there = map { ($_ => 1) } split ' ', $live;
			my @lines;

			$model->{dropped} =
			  { map { ($_->{label} => 1) } grep { !$there{ $_->{label} } } $model->live($queue) }
			  unless grep { /^ERROR/ } @got;
			@lines = $lines->($model->statement($operation));
			$model->{dropped} = undef;
			return (@lines,
				$model->{aborted}
				? 'ERROR:  25P02'
				: join(' ', sort { $a <=> $b } map { $_->{label} } $model->live($queue)));
		});
}

sub enqueue_many
{
	my $queue = one_of(@queues);
	my $n = number(1, 5);
	my %opt = chance(0.3) ? (delay => number(0, 2)) : ();
	my $options = defined $opt{delay} ? ', delay => ' . ticks($opt{delay}) : '';
	my (@labels, @variables);

	return if $model->live($queue) > 50 || @free_jobs < $n;
	for (1 .. $n)
	{
		push @labels, ++$model->{labels};
		$job_place{ $labels[-1] } = shift @free_jobs;
		push @variables, job_variable($labels[-1]);
	}
	if ($in_groups{$queue})
	{
		$opt{groups} = [ map { chance(0.8) ? one_of(@groups) : undef } @labels ];
		$options .=
			', group_keys => ARRAY['
		  . join(', ', map { defined $_ ? "'$_'" : 'NULL' } @{ $opt{groups} })
		  . ']::text[]';
	}
	my $payloads = join(', ', map { qq('{"n": $_}') } @labels);
	my $columns = join(', ', map { "ids[$_] AS $variables[$_ - 1]" } 1 .. $n);
	return put_enqueue(
		$queue,
		"\\unset got\n"
		  . "SELECT $columns, array_length(array_remove(ids, NULL), 1) AS got FROM (SELECT"
		  . " array_agg(id) FROM jobq.enqueue_many('$queue',"
		  . " ARRAY[$payloads]::jsonb[]$options) AS id) AS a(ids) \\gset\n\\echo :{?got} :got",
		sub { $model->enqueue($queue, %opt, njobs => $n, labels => \@labels) },
		sub {
			my ($jobs) = @_;
			return ($jobs, 'FALSE :got') unless ref $jobs;
			return @$jobs ? 'TRUE ' . @$jobs : 'FALSE :got';
		});
}

# Calls a claim; its result is jobs with their attempts.
sub put_claim
{
	my ($queues, $call, $lease, $operation) = @_;
	my $columns = q{coalesce(string_agg((payload->>'n') || ':' || attempt, ' '), 'none') AS got};
	my $claim = sub {
		my $result = $model->statement(sub { [ $operation->() ] });
		die $result unless ref $result;
		return join(' ', map { "$_->{label}:$_->{attempt}" } @$result) || 'none';
	};
	my $sql;

	$columns .= ', max(lease) AS ' . lease_variable($lease) if $lease;
	$sql = "SELECT $columns FROM $call \\gset\n\\echo :got";
	return put($sql, $claim->())
	  unless grep { $in_groups{$_} || $model->may_be_uncounted($_) } @$queues;
	put_and_look(
		$sql,
		sub {
			my ($got) = @_;
			$model->{given} = [ $got =~ /(\d+):/g ];
			$model->{short} = undef;
			$got = $claim->();
			$model->{given} = undef;
			return $got;
		});
	note_short() if defined $model->{short};
	return 1;
}

# Somebody who looks at a group may keep a claim from it for that moment.
sub note_short
{
	note("operation $done: fewer than could be, next were $model->{short}");
	return;
}

sub new_lease
{
	my $lease = ++$model->{leases};
	$lease_place{$lease} = shift @free_leases;
	return $lease;
}

sub dequeue
{
	my $queue = one_of(@queues);
	my $n = number(1, 4);
	my $ticks = chance(0.5) ? number(1, 5) : undef;
	my $option = $ticks ? ', lease => ' . ticks($ticks) : '';
	my $lease;

	return unless @free_leases;
	$lease = new_lease();
	return put_claim(
		[$queue], "jobq.dequeue('$queue', $n$option)",
		$lease, sub { $model->dequeue($queue, $n, $ticks, $lease) });
}

sub dequeue_any
{
	my @of = sort { rand() <=> 0.5 } @queues;
	my $n = number(1, 5);
	my $lease;

	return unless @free_leases;
	$#of = number(0, 2);
	$lease = new_lease();
	return put_claim(
		\@of,
		"jobq.dequeue_any('{" . join(',', @of) . "}', $n)",
		$lease,
		sub {
			my @jobs;
			for my $queue (@of)
			{
				push @jobs, $model->dequeue($queue, $n - @jobs, undef, $lease) if @jobs < $n;
			}
			return @jobs;
		});
}

sub take
{
	my $queue = one_of(@queues);
	my $n = number(1, 3);
	return put_claim([$queue], "jobq.take('$queue', $n)", undef, sub { $model->take($queue, $n) });
}

# Whether wait() would return at once.
sub wait_for_job
{
	my $queue = one_of(@queues);
	# a group without room has to wait until there is some
	return if $model->in_transaction || ($in_groups{$queue} && $model->{memory_is_short});
	return if $model->may_be_uncounted($queue);
	my $would_start = $model->would_start($queue);
	return put("CALL jobq.wait('{$queue}', '" . ($would_start ? '10 s' : '0') . "');",
		$would_start ? 't' : 'f');
}

# The jobs of a lease, or some of them.
sub some_of_lease
{
	my ($label, $lease) = @_;
	my @labels = sort { $a <=> $b } map { $_->{label} }
	  grep { ($_->{lease} // 0) == $lease } values %{ $model->{jobs} };

	@labels = grep { $_ == $label || chance(0.5) } @labels if chance(0.5);
	return @labels ? @labels : $label;
}

# next() may not fail, so the lease is one that is held.
sub next_jobs
{
	my $job = some_job('running') or return;
	my $done = $job->{lease};
	my @labels = some_of_lease($job->{label}, $done);
	my $queue = chance(0.8) ? $job->{queue}{name} : one_of(@queues);
	my $n = number(1, 4);
	my $lease;

	return unless @free_leases;
	$lease = new_lease();
	my $ids = join(', ', map { ':' . job_variable($_) } @labels);
	return put_claim(
		[$queue],
		"jobq.next('$queue', ARRAY[$ids], :" . lease_variable($done) . ", $n)",
		$lease,
		sub {
			$model->complete_many(\@labels, $done);
			return $model->dequeue($queue, $n, undef, $lease);
		});
}

sub complete
{
	my ($label, $lease) = some_lease() or return;
	return unless defined $label;
	return put_value(
		"SELECT jobq.complete(:" . job_variable($label) . ', :' . lease_variable($lease) . ')',
		sub { $model->complete($label, $lease) });
}

sub complete_many
{
	my ($label, $lease) = some_lease();
	return unless defined $label;
	my @labels = some_of_lease($label, $lease);
	my $ids = join(', ', map { ':' . job_variable($_) } @labels);
	return put_value("SELECT jobq.complete_many(ARRAY[$ids], :" . lease_variable($lease) . ')',
		sub { $model->complete_many(\@labels, $lease) });
}

sub fail_job
{
	my ($label, $lease) = some_lease();
	my $retry_in = chance(0.6) ? number(0, 2) : undef;
	my $retryable = chance(0.9);
	my $options = defined $retry_in ? ', retry_in => ' . ticks($retry_in) : '';

	return unless defined $label;
	$options .= ', retryable => false' unless $retryable;
	return put_value(
		'SELECT jobq.fail(:'
		  . job_variable($label) . ', :'
		  . lease_variable($lease)
		  . ", 'failed'$options)",
		sub { $model->fail($label, $lease, $retry_in, $retryable) });
}

sub release
{
	my ($label, $lease) = some_lease();
	my $delay = chance(0.5) ? 0 : number(1, 2);

	return unless defined $label;
	return put_value(
		'SELECT jobq.release(:'
		  . job_variable($label) . ', :'
		  . lease_variable($lease) . ', '
		  . ticks($delay) . ')',
		sub { $model->release($label, $lease, $delay) });
}

sub heartbeat
{
	my ($label, $lease) = some_lease();
	my $extend = number(1, 5);

	return unless defined $label;
	return put_value(
		'SELECT jobq.heartbeat(:'
		  . job_variable($label) . ', :'
		  . lease_variable($lease) . ', '
		  . ticks($extend) . ')',
		sub { $model->heartbeat($label, $lease, $extend) });
}

# Who asks for a delay outside a handler gets the error.
sub snooze
{
	return put_value("SELECT jobq.snooze('1 min')", sub { die \'JQ103' });
}

# Functions that take a job's id.
sub by_id
{
	my ($function, $states, $argument, $operation) = @_;
	my $job = some_job($states) or return;
	my $label = $job->{label};
	my $arguments = join(', ', ':' . job_variable($label), $argument // ());

	return put_value("SELECT jobq.$function($arguments)", sub { $operation->($label) });
}

sub cancel
{
	return by_id('cancel', chance(0.9) ? 'pending|running' : '.*',
		undef, sub { $model->cancel(@_) });
}

sub delete_job
{
	return by_id('delete', chance(0.5) ? 'pending' : '.*', undef, sub { $model->delete_job(@_) });
}

sub promote
{
	return by_id('promote', chance(0.9) ? 'pending' : '.*', undef, sub { $model->promote(@_) });
}

sub reschedule
{
	my $delay = number(0, 3);
	return by_id(
		'reschedule',
		chance(0.9) ? 'pending' : '.*',
		"clock.advance('0') + " . ticks($delay),
		sub { $model->reschedule($_[0], $delay) });
}

sub set_priority
{
	my $priority = number(-2, 2);
	return by_id('set_priority', chance(0.9) ? 'pending' : '.*',
		$priority, sub { $model->set_priority($_[0], $priority) });
}

sub retry
{
	my $job = some_job(chance(0.9) ? 'completed|dead|cancelled|expired' : '.*') or return;
	my $label = $job->{label};
	return put_value('SELECT jobq.retry(:' . job_variable($label) . ') IS NOT NULL',
		sub { $model->retry($label) ? 't' : 'f' });
}

sub pause
{
	my $queue = one_of(@queues);
	return put_value("SELECT jobq.pause('$queue')", sub { $model->set_flag($queue, 'paused', 1) });
}

sub drain
{
	my $queue = one_of(@queues);
	return put_value("SELECT jobq.drain('$queue')",
		sub { $model->set_flag($queue, 'draining', 1) });
}

sub resume
{
	my $queue =
	  one_of(grep { chance(0.1) || $model->{queues}{$_}{paused} || $model->{queues}{$_}{draining} }
		  @queues) // return;
	return put_value("SELECT jobq.resume('$queue')", sub { $model->resume($queue) });
}

sub throttle
{
	my $queue = one_of(@queues);
	my $delay = chance(0.3) ? 0 : number(1, 2);
	return put_value("SELECT jobq.throttle('$queue', " . ticks($delay) . ')',
		sub { $model->throttle($queue, $delay) });
}

# Options of queues and limits. Those in SQL and those of the model, undef where they
# are reset.

sub alter
{
	my ($kind, $object, $sql, %model) = @_;
	my ($verb, $arguments) = ('alter', "'$object->{name}'");

	if (ref $sql)
	{
		$verb = 'reset';
		$arguments .= ", '$_'" for @$sql;
	}
	else
	{
		$arguments .= ", $sql";
	}
	return put_value("SELECT jobq.${verb}_$kind($arguments)",
		sub { $model->alter($object, %model) });
}

# Of what one transaction sees of the limit, other processes know nothing yet.
sub alter_max_running
{
	my ($kind, $object) = @_;
	my $most = number(0, 4);

	if ($model->in_transaction)
	{
		return unless defined $object->{max_running} && $kind eq 'queue';
	}
	elsif (chance(0.3))
	{
		return alter($kind, $object, ['max_running'], max_running => undef);
	}
	return alter($kind, $object, "max_running => $most", max_running => $most);
}

my $no_rates_before = 0;

sub alter_rate
{
	my ($kind, $object) = @_;
	my $limit = number(1, 4);
	my $burst = number(1, $limit);
	my $interval = number(1, 2);
	my $rate = { limit => $limit, burst => $burst, interval => $interval };
	my $forced = ($object->{on_limit} // 'wait') ne 'wait';

	# after a restart it may take some time until all is forgotten
	return if $model->in_transaction || $model->{ticks} < $no_rates_before;
	if (chance(0.5))
	{
		return alter($kind, $object, [qw(rate_limit rate_period rate_burst)], rate => undef);
	}
	return unless $model->suits($object, $rate, $forced);
	return alter(
		$kind,
		$object,
		"rate_limit => $limit, rate_burst => $burst, rate_period => "
		  . ticks($interval * ($limit - $burst + 1)),
		rate => $rate);
}

# Of each group.
sub alter_group_rate
{
	my ($queue) = @_;
	my $limit = number(1, 4);
	my $burst = number(1, $limit);
	my $interval = number(1, 2);
	my $rate = { limit => $limit, burst => $burst, interval => $interval };

	return if $model->in_transaction || $model->{ticks} < $no_rates_before;
	return if $queue->{on_limit} ne 'wait';
	return alter(
		'queue', $queue,
		[qw(group_rate_limit group_rate_period group_rate_burst)],
		group_rate => undef) if chance(0.4);
	return if grep { !$model->suits($_, $rate) } values %{ $queue->{groups} };
	return alter(
		'queue',
		$queue,
		"group_rate_limit => $limit, group_rate_burst => $burst, group_rate_period => "
		  . ticks($interval * ($limit - $burst + 1)),
		group_rate => $rate);
}

sub alter_on_limit
{
	my ($queue) = @_;
	my $word = one_of(qw(wait skip error));

	return if $model->in_transaction || $queue->{group_rate};
	return if $queue->{rate} && !$model->suits($queue, $queue->{rate}, $word ne 'wait');
	return alter('queue', $queue, "on_limit => '$word'", on_limit => $word);
}

sub alter_max_queued
{
	my ($queue) = @_;
	my $most = number(3, 40);
	my $on_full = one_of(qw(error drop_oldest));

	return alter('queue', $queue, ['max_queued'], max_queued => 0) if chance(0.4);
	return alter(
		'queue', $queue,
		"max_queued => $most, on_full => '$on_full'",
		max_queued => $most,
		on_full => $on_full);
}

sub alter_groups
{
	my ($queue) = @_;
	my $most = one_of(1, 1, 1, 2, 3);
	my $word = one_of(qw(wait wait skip));
	my $now = $model->now;

	return if $model->in_transaction && !defined $queue->{max_per_group};
	# which claims pass over them then is not modelled
	return if grep { JobqGroupModel::is_held_back($_, $now) } $model->ready($queue, $now);
	return alter('queue', $queue, "group_on_failure => '$word'", on_failure => $word)
	  if chance(0.3);
	return alter('queue', $queue, ['max_running_per_group'], max_per_group => undef)
	  if chance(0.2) && !$model->in_transaction;
	return alter('queue', $queue, "max_running_per_group => $most", max_per_group => $most);
}

sub alter_groups_of_limit
{
	my ($limit) = @_;
	my $most = one_of(1, 1, 2, 3);

	return if $model->in_transaction;
	return alter('limit', $limit, ['max_running_per_group'], max_per_group => undef)
	  if chance(0.2);
	return alter('limit', $limit, "max_running_per_group => $most", max_per_group => $most);
}

sub alter_batches
{
	my ($queue) = @_;
	my $size = number(1, 4);
	my $wait = chance(0.5) ? 0 : number(1, 2);
	return alter(
		'queue', $queue,
		"batch_size => $size, batch_wait => " . ticks($wait),
		batch_size => $size,
		batch_wait => $wait);
}

sub alter_lifo
{
	my ($queue) = @_;
	my $lifo = chance(0.4);

	return alter('queue', $queue, 'lifo => ' . ($lifo ? 'true' : 'false'), lifo => $lifo ? 1 : 0);
}

sub alter_shared_limit
{
	my ($queue) = @_;
	my $in_groups = $in_groups{ $queue->{name} };
	# those with groups share the same one most of the time
	my $limit = $in_groups && chance(0.8) ? $limits[0] : one_of(@limits);

	return if $model->in_transaction;
	# until when the limit counts those of a queue that leaves is not modelled
	return if $model->running_in_groups($queue->{name}) ne '';
	return alter('queue', $queue, ['shared_limit'], shared_limit => undef)
	  if chance($in_groups ? 0.2 : 0.4);
	return alter('queue', $queue, "shared_limit => '$limit'", shared_limit => $limit);
}

sub alter_queue
{
	my $queue = $model->{queues}{ one_of(@queues) };
	my $option = one_of(
		\&alter_max_queued, \&alter_batches, \&alter_lifo, \&alter_shared_limit, \&alter_on_limit,
		sub { alter_max_running('queue', @_) },
		sub { alter_rate('queue', @_) });
	$option = one_of(\&alter_groups, \&alter_groups, \&alter_group_rate)
	  if $in_groups{ $queue->{name} } && chance(0.5);
	return $option->($queue);
}

sub alter_limit
{
	my $limit = $model->{limits}{ one_of(@limits) };
	my $option = one_of(
		\&alter_groups_of_limit,
		sub { alter_max_running('limit', @_) },
		sub { alter_rate('limit', @_) });
	return $option->($limit);
}

# Transactions.

sub begin
{
	return if $model->in_transaction;
	$model->begin;
	return put('BEGIN;');
}

sub savepoint
{
	return if !$model->in_transaction || $model->in_transaction > 3;
	$model->begin;
	return put('SAVEPOINT s' . $model->in_transaction . ';');
}

sub rollback_to
{
	my $level = $model->in_transaction;

	return if $level < 2;
	$level = number(2, $level) if chance(0.5);
	$model->rollback_to($level);
	return put("ROLLBACK TO s$level;");
}

sub release_savepoint
{
	my $level = $model->in_transaction;

	return if $level < 2;
	$model->release_savepoint($level);
	return put("RELEASE s$level;");
}

sub end_transaction
{
	return unless $model->in_transaction;
	if (chance(0.4))
	{
		$model->rollback;
		return put('ROLLBACK;');
	}
	$model->commit;
	return put('COMMIT;');
}

# After an error: one more, a rollback to a savepoint, or the end.
sub recover
{
	return put_value('SELECT 1', sub { }) if chance(0.1);
	return 1 if chance(0.6) && rollback_to();
	$model->rollback;
	return put(chance(0.5) ? 'COMMIT;' : 'ROLLBACK;');
}

# Time passes.  Where several jobs come back at once, the server says in which order.
sub advance
{
	my $ticks = number(1, 2);
	my ($ended, $unordered);

	return if $model->in_transaction;
	($ended, $unordered) = $model->advance($ticks);
	put('SELECT 1 FROM clock.advance(' . ticks($ticks) . ');', '1');
	put('SELECT settle();', 'settled') if @$ended;
	order_jobs($unordered) if @$unordered > 1;
	return 1;
}

# Jobs are added by a transaction that is prepared: their queues' lanes and groups
# are read anew.
sub enqueue_prepared
{
	my $queue = one_of(@queues);
	my $options = '';
	my $label;
	my %opt;

	return if $model->in_transaction || $model->live($queue) > 50 || !@free_jobs;
	return if $model->{queues}{$queue}{max_queued} || $model->{queues}{$queue}{rate};
	if ($in_groups{$queue})
	{
		$opt{groups} = [ one_of(@groups) ];
		$options = ", group_key => '$opt{groups}[0]'";
	}
	$label = ++$model->{labels};
	$job_place{$label} = shift @free_jobs;
	my $variable = job_variable($label);
	my $jobs = $model->statement(sub { $model->enqueue($queue, %opt, labels => [$label]) });
	return put("\\echo '$jobs'", $jobs) unless ref $jobs;
	$model->forget_turns($model->{queues}{$queue});
	return put(
		"BEGIN;\nSELECT jobq.enqueue('$queue', '{\"n\": $label}'$options) AS $variable"
		  . " \\gset\nPREPARE TRANSACTION 'p';\nCOMMIT PREPARED 'p';\n\\echo :{?$variable}",
		'TRUE');
}

# Everything must be as in the model.
sub check_all
{
	my $jobs = '';
	my $number = 0;

	for my $queue (@queues)
	{
		$jobs .= sprintf('%s%d:%d:%d',
			$jobs eq ''              ? '' : ' ', $_->{label},
			$_->{state} eq 'running' ? 1  : 0, $_->{attempt})
		  for sort { JobqFlowModel::compare_jobs($a, $b) } $model->live($queue);
	}
	put('SELECT all_jobs();', $jobs);
	return if $model->in_transaction;
	put('SELECT settle();', 'settled');
	for my $limit (@limits)
	{
		my $may_be_unknown = $model->{memory_is_short} ? 'true' : 'false';
		my $expected = $model->{limits}{$limit}{running};
		put("SELECT running_in_limit('$limit', $expected, $may_be_unknown);", $expected);
	}
	my $running = join(',', map { $model->{queues}{$_}{running} } @queues);
	my $in_groups = join(',', map { '"' . $model->running_in_groups($_) . '"' } @queues);
	put("SELECT running('{$running}'), running_in_groups('{$in_groups}');",
		"{$running}|{$in_groups}");
	return;
}

# How often which is done.
my @weights = (
	[ 14, \&enqueue ],
	[ 4, \&enqueue_many ],
	[ 0.3, \&enqueue_prepared ],
	[ 14, \&dequeue ],
	[ 3, \&dequeue_any ],
	[ 2, \&wait_for_job ],
	[ 5, \&take ],
	[ 6, \&next_jobs ],
	[ 10, \&complete ],
	[ 4, \&complete_many ],
	[ 5, \&fail_job ],
	[ 3, \&release ],
	[ 2, \&heartbeat ],
	[ 0.2, \&snooze ],
	[ 2, \&cancel ],
	[ 1.5, \&delete_job ],
	[ 1, \&promote ],
	[ 1, \&reschedule ],
	[ 1, \&set_priority ],
	[ 2, \&retry ],
	[ 0.4, \&pause ],
	[ 0.3, \&drain ],
	[ 2, \&resume ],
	[ 0.7, \&throttle ],
	[ 4, \&alter_queue ],
	[ 1, \&alter_limit ],
	[ 6, \&begin ],
	[ 5, \&savepoint ],
	[ 3, \&rollback_to ],
	[ 1, \&release_savepoint ],
	[ 5, \&end_transaction ],
	[ 3, \&advance ],);
my $total = sum(map { $_->[0] } @weights);

# One operation at random, of those that can be done.
sub some_operation
{
	if ($model->{aborted})
	{
		recover();
		return;
	}
	collect_variables() unless $model->in_transaction;
	for (;;)
	{
		my $at = rand($total);
		my $choice = first { ($at -= $_->[0]) < 0 } @weights;
		return if $choice && $choice->[1]->();
	}
}

# What the server answers.

my ($waiting, $waiting_ticks);

# When the server had reached which ticks of the model, as far back as the longest span; and
# the most real time that has passed in one.
my @seen = ([ 0, time() ]);
my $most_time = 0;

sub note_time
{
	my ($ticks) = @_;
	push @seen, [ $ticks, time() ];
	shift @seen while @seen > 1 && $seen[1][0] <= $ticks - $longest_span;
	$most_time = max($most_time, $seen[-1][1] - $seen[0][1]);
	return;
}

# Tells which operation gave something else, with those before it.
sub report
{
	my ($sent, $i, $got) = @_;
	my ($operation, $sql, @expected) = @{ $sent->[$i] };
	my $last = @all - @$sent + $i;
	my $from = $last > 40 ? $last - 40 : 0;

	diag(   "operation $operation, seed $model->{seed} (JOBQ_FLOW_SEED), all in"
		  . " $directory/operations.sql");
	diag("$_->[0]: $_->[1]\n    --> " . join(' / ', @$_[ 2 .. $#$_ ])) for @all[ $from .. $last ];
	diag('expected: ' . join(' / ', @expected));
	diag('got:      ' . join(' / ', @$got));
	append_to_file("$directory/operations.sql", "$_->[1]\n") for @all;
	return;
}

# What the model expects, now that it knows the output.
sub ask_model
{
	my ($operation, @got) = @_;
	my $judge = $operation->[2];
	my @expected = eval { $judge->(@got) };

	@expected = "the model: $@" =~ s/\s+$//r if $@;
	splice @$operation, 2, 1, @expected;
	return @expected;
}

# Compares the output; false after a failure.
sub compare
{
	my ($sent, $output) = @_;
	my @lines = split /\n/, $output, -1;

	pop @lines;
	for my $i (0 .. $#$sent)
	{
		my ($operation, $sql, @expected) = @{ $sent->[$i] };
		my @got;

		if (ref $expected[0])
		{
			@expected = ask_model($sent->[$i], map { s/^psql:[^ ]* (?=ERROR)//r } @lines);
		}
		@got =
		  map { defined $_ ? s/^psql:[^ ]* (?=ERROR)//r : 'nothing' } @lines[ 0 .. $#expected ];

		if ("@got" ne "@expected")
		{
			report($sent, $i, [ map { $_ // () } @lines[ 0 .. $#expected + 3 ] ]);
			return 0;
		}
		splice @lines, 0, scalar @expected;
	}
	if (@lines)
	{
		report($sent, $#$sent, \@lines);
		return 0;
	}
	return 1;
}

# The answer to the chunk that was sent last.
sub receive
{
	my $sent = $waiting or return 1;
	my $answer = answer($session);
	$waiting = undef;
	note_time($waiting_ticks);
	return compare($sent, $answer);
}

# Sends the chunk; the model goes on meanwhile.
my $nchunks = 0;

sub send_chunk
{
	my $file = "$directory/operations_" . $nchunks++ % 2 . '.sql';
	my $ok = receive();

	return 0 unless $ok;
	unlink $file;
	append_to_file($file, join('', map { "$_->[1]\n" } @chunk));
	push @all, @chunk;
	$waiting = [@chunk];
	$waiting_ticks = $model->{ticks};
	@chunk = ();
	order($session, "\\i $file");
	return 1;
}

my $failed = 0;

# The order in which the server has made these jobs ready.
sub order_jobs
{
	my ($jobs) = @_;
	my %job = map { ($_->{label} => $_) } @$jobs;
	my $labels = join(', ', map { "'$_'" } sort { $a <=> $b } keys %job);
	my @ordered;

	if (!send_chunk() || !receive())
	{
		$failed = 1;
		return;
	}
	@ordered = split ' ', ask(
		$session, qq{SELECT string_agg(payload->>'n', ' ' ORDER BY run_at, id)
		FROM jobq_store.job WHERE payload->>'n' IN ($labels) AND state = 0});
	$failed = 1
	  if join(' ', sort { $a <=> $b } @ordered) ne join(' ', sort { $a <=> $b } keys %job);
	diag("jobs @ordered came back, seed $model->{seed}") if $failed;
	$_->{run_at} = $model->now for map { $job{$_} // {} } @ordered;
	return;
}

# After a restart it is not known what runs under a limit until a claim must know.  Jobs
# that run count for the limit that their queue shares then, so that must not change.
sub count_limit
{
	my ($limit) = @_;
	my %most = (
		max_running => $model->{limits}{$limit}{max_running},
		max_running_per_group => $model->{limits}{$limit}{max_per_group});

	$node->sql("SELECT jobq.alter_limit('$limit', $_ => 1000)") foreach sort keys %most;
	poll_query(
		$node,
		"SELECT jobq.dequeue('of_$limit');
			SELECT running IS NOT NULL FROM jobq.limits WHERE name = '$limit'"
	) or die "limit $limit is not counted\n";
	foreach my $option (sort keys %most)
	{
		$node->sql(
			defined $most{$option}
			? "SELECT jobq.alter_limit('$limit', $option => $most{$option})"
			: "SELECT jobq.reset_limit('$limit', '$option')");
	}
	return;
}

# After a restart, the groups that take memory come back first.
sub count_others
{
	poll_query(
		$node,
		q{SELECT count(d) FROM jobq.queues AS q, jobq.dequeue(q.queue) AS d
				WHERE q.queue ~ '^z' \gset
			SELECT bool_and(g.counted) FROM jobq_store.gates() AS g
				JOIN jobq_store.queue AS q ON q.id = g.queue WHERE q.name ~ '^z'}
	) or die "other groups are not counted\n";
	return;
}

# Groups of which jobs run stay in memory: with some of them there may be no room to count
# what runs under a limit, which takes an entry for each of its queues, too.
sub finish_groups
{
	my @running = sort { $a->{label} <=> $b->{label} }
	  grep { $_->{state} eq 'running' && $in_groups{ $_->{queue}{name} } }
	  values %{ $model->{jobs} };

	foreach my $job (@running)
	{
		my ($label, $lease) = @$job{qw(label lease)};
		put_value(
			'SELECT jobq.complete(:' . job_variable($label) . ', :' . lease_variable($lease) . ')',
			sub { $model->complete($label, $lease) });
	}
	return;
}

# The server is restarted.  Rates are left out: they hold over that for some time.
sub restart
{
	my (@places, %place_of);

	for my $kind ('queue', 'limit')
	{
		for my $object (map { $model->{"${kind}s"}{$_} } sort keys %{ $model->{"${kind}s"} })
		{
			alter($kind, $object, [qw(rate_limit rate_period rate_burst)], rate => undef)
			  if $object->{rate};
			alter(
				$kind, $object,
				[qw(group_rate_limit group_rate_period group_rate_burst)],
				group_rate => undef) if $object->{group_rate};
		}
	}
	finish_groups() if $model->{memory_is_short};
	check_all();
	$failed = 1 unless send_chunk() && receive();
	return if $failed;
	end_session($session);
	# claims that are not on disk yet would be lost
	$node->sql('CHECKPOINT');
	$node->stop(one_of('fast', 'immediate'));
	$node->start;
	$node->advance_clock($model->{ticks} * $tick_minutes . ' min');
	count_others() if $model->{memory_is_short};
	count_limit($_) foreach @limits;
	$model->restart;
	$no_rates_before = $model->{ticks} + 10;
	@old_leases = ();

	# the variables of the new session
	%place_of = map { ($_ => 1) } keys %job_place;
	for my $line (
		split /\n/,
		$node->sql(
			q{SELECT a.payload->>'n', a.id, j.lease FROM jobq.jobs AS a
				LEFT JOIN jobq_store.job AS j USING (id)}
		))
	{
		my ($label, $id, $lease) = split /\|/, $line;
		my $job = $model->{jobs}{$label} or next;
		next unless $job_place{$label};
		push @places, '\set ' . job_variable($label) . " $id";
		push @places, '\set ' . lease_variable($job->{lease}) . " $lease"
		  if defined $job->{lease} && $lease ne '';
	}
	$session = start_session($node, verbosity => 'sqlstate');
	put(join("\n", @places, 'SELECT settle();'), 'settled');
	check_all();
	return;
}

# The test.

# Each job that is left can be claimed, in the end.
sub find_all_jobs
{
	my $queues = '{' . join(',', @queues) . '}';
	my $options = join(', ',
		map { "'$_'" } qw(max_running shared_limit batch_size batch_wait max_running_per_group),
		map { ("${_}_limit", "${_}_period", "${_}_burst") } qw(rate group_rate));

	$node->sql(
		qq{SELECT jobq.resume(q), jobq.throttle(q, '0'), jobq.reset_queue(q, $options)
			FROM unnest('$queues'::text[]) AS q;
		SELECT clock.advance('1 day');
		SELECT jobq.complete(j.id, j.lease) FROM jobq_store.job AS j
			JOIN jobq_store.queue AS q ON q.id = j.queue
			WHERE j.state = 1 AND j.lease_until > clock.advance('0') AND q.name !~ '^z'});
	poll_ok(
		$node,
		qq{SELECT count(jobq.complete(id, lease)) FROM jobq.dequeue_any('$queues', 100) \\gset
		SELECT 'left: ' || all_jobs()},
		'all jobs are found',
		expected => 'left: ');
	return;
}

# Operations at random; returns whether all were as in the model.
sub do_operations
{
	my ($operations, $restart_every) = @_;
	my $next_check = $check_every;
	my $next_restart = $restart_every;

	while ($done < $operations && !$failed)
	{
		if (!eval { some_operation(); 1 })
		{
			die $@ unless $@ eq "FAILED\n";
			return 0;
		}
		if ($restart_every && $done >= $next_restart && !$model->in_transaction)
		{
			restart();
			$next_restart = $done + $restart_every;
		}
		if ($done >= $next_check && !$model->{aborted})
		{
			check_all();
			$next_check = $done + $check_every;
		}
		$failed = 1 if @chunk >= $chunk_size && !send_chunk();
	}
	return 0 if $failed;
	while ($model->in_transaction)
	{
		$model->{aborted} ? recover() : end_transaction();
	}
	check_all();
	return send_chunk() && receive();
}

# flow_test(%options)
#   operations => how many
#   restarts   => after how many the server is restarted each time, 0: never
#   room       => how many entries for groups memory has room for (enough)
sub flow_test
{
	my (%opt) = @_;
	my $began = time();
	my $ok;

	$directory = $PostgreSQL::Test::Utils::log_path . '/' . basename($0, '.pl');
	mkdir $directory or die "$directory: $!";
	$model = JobqFlowModel->new(
		queues => \@queues,
		limits => \@limits,
		memory_is_short => defined $opt{room});
	$model->{seed} = $ENV{JOBQ_FLOW_SEED} // int(rand(2**31));
	$_->{max_per_group} = 2 for values %{ $model->{limits} };
	$model->{queues}{$_}{shared_limit} = $limits[0] for @in_groups;
	start_server(%opt);

	srand($model->{seed});
	note("seed $model->{seed}");
	$ok = do_operations(
		$ENV{JOBQ_FLOW_OPERATIONS} // $opt{operations},
		$ENV{JOBQ_FLOW_RESTARTS}   // $opt{restarts});
	diag(
		$node->sql(
			q{SELECT queue, group_key, running, next_at, why FROM jobq.groups WHERE queue !~ '^z'})
	) unless $ok;
	ok($ok, "$done operations as in the model");
	cmp_ok($most_time, '<', 60 * $tick_minutes, "$longest_span ticks take less than one");
	note(sprintf('%.1f s', time() - $began));
	end_session($session);
	is($node->sql('SELECT count(*) FROM jobq_store.flow_check()'),
		'0', 'memory agrees with the tables');
	find_all_jobs() if $ok;
	$node->stop;
	return;
}

1;
