# JobqFlowModel.pm
#
# What jobq must do, for one session, with queues that have limits of all kinds:
# a model, without memory that is shared, lanes, gates or rows.  Each method is
# an operation; it changes the model, and returns what the operation must return.
# An operation that must fail dies with a reference to the SQLSTATE.
#
# Times.  The clock of the server stands still but for the ticks by which the test
# advances it, and for the real time that passes, which is far less than a tick
# within any span.  All spans are whole ticks.  So a time is a number: its ticks,
# and after the point the number of the operation in which it was read.  Of two
# times with the same ticks, the one that was read later is later.
#
# What a rollback undoes is in the journal, with all values that a job, a queue or a
# limit had before.  Tickets, starts and throttles are not undone in this way:
# the notes say what becomes of them, as those of the C code do (lease_note.c,
# ready.c, enqueue_rate.c).
#
# Groups are in JobqGroupModel.pm.
#
#   my $model = JobqFlowModel->new(queues => ['a', 'b'], limits => ['x']);
#   $model->statement(sub { $model->enqueue('a', 1) });

package JobqFlowModel;

use strict;
use warnings;

use parent 'JobqGroupModel';

use List::Util qw(first max min);

# A tick, in units of times: more than there are operations.
use constant TICK => 10_000_000;

# Where none is given: attempts of a job, ticks of a lease and of a retry's delay.
use constant { MAX_ATTEMPTS => 3, LEASE => 3, BACKOFF => 2 };

sub new
{
	my ($class, %opt) = @_;
	my $self = bless {
		queues => {},
		limits => {},
		jobs => {},
		entries => {},
		journal => [],
		levels => [],
		notes => [],
		ticks => 0,
		reads => 0,
		labels => 0,
		leases => 0,
		aborted => 0,
		xacts => 1,
		most_passes => $opt{memory_is_short}
		? JobqGroupModel::MOST_PASSES_WITHOUT_ROOM
		: JobqGroupModel::MOST_PASSES,
		memory_is_short => $opt{memory_is_short} // 0,
	}, $class;
	for my $name (@{ $opt{queues} })
	{
		$self->{queues}{$name} = {
			name => $name,
			lifo => 0,
			batch_size => 1,
			batch_wait => 0,
			max_queued => 0,
			on_full => 'error',
			on_limit => 'wait',
			on_failure => 'wait',
			groups => {},
			passed => {},
			paused => 0,
			draining => 0,
			jobs => {},
			running => 0,
			tat => 0,
			throttled => 0,
		};
	}
	$self->{limits}{$_} = { name => $_, running => 0, tat => 0 } for @{ $opt{limits} };
	return $self;
}

# What SQL sees.

sub now
{
	my ($self) = @_;
	return $self->{ticks} * TICK + ++$self->{reads};
}

sub jobs_of
{
	my ($self, $queue) = @_;
	return values %{ $self->{queues}{$queue}{jobs} };
}

# Unfinished jobs.
sub live
{
	my ($self, $queue) = @_;
	return grep { $_->{state} eq 'pending' || $_->{state} eq 'running' } $self->jobs_of($queue);
}

sub in_transaction
{
	my ($self) = @_;
	return scalar @{ $self->{levels} };
}

# Transactions.

# Sets a value that a rollback sets back; undef: there is none.
sub set
{
	my ($self, $object, $key, $value) = @_;
	push @{ $self->{journal} }, [ $object, $key, $object->{$key} ];
	$object->{moved} = 1 if defined $object->{label};
	$object->{$key} = $value;
	delete $object->{$key} unless defined $value;
	return;
}

sub note
{
	my ($self, %note) = @_;
	my $note = { %note, level => scalar @{ $self->{levels} } };
	push @{ $self->{notes} }, $note;
	return $note;
}

sub begin
{
	my ($self) = @_;
	$self->{xacts}++ unless $self->in_transaction;
	push @{ $self->{levels} }, scalar @{ $self->{journal} };
	return;
}

# Rolls back what has been done at this level and those above; it stays open.
sub roll_back_level
{
	my ($self, $level) = @_;
	my $mark = $self->{levels}[ $level - 1 ];
	my $notes = $self->{notes};
	my @undone;

	unshift @undone, pop @$notes while @$notes && $notes->[-1]{level} >= $level;
	$self->undo_claim($_)      for grep         { $_->{kind} eq 'claim' } @undone;
	$self->leave($_->{ticket}) for grep         { $_->{kind} eq 'take' && $_->{ticket} } @undone;
	$self->undo_admitted($_)   for reverse grep { $_->{kind} eq 'admitted' } @undone;
	for my $note (grep { $_->{kind} eq 'end' } @undone)
	{
		$self->take_back_queue($note);
		$self->take_back_group($note);
	}

	while (@{ $self->{journal} } > $mark)
	{
		my ($object, $key, $value) = @{ pop @{ $self->{journal} } };
		$object->{$key} = $value;
		delete $object->{$key} unless defined $value;
	}
	$#{ $self->{levels} } = $level - 1;
	return;
}

sub rollback
{
	my ($self) = @_;
	$self->roll_back_level(1);
	$self->{levels} = [];
	$self->{aborted} = 0;
	$self->{xacts}++;
	return;
}

sub commit
{
	my ($self) = @_;
	for my $note (@{ $self->{notes} })
	{
		$self->forget_entry($note) if $note->{kind} eq 'end';
		next unless $note->{kind} eq 'take' && $note->{ticket};
		delete @{ $note->{ticket} }{ 'borrowed', 'group_borrowed' };
		$self->leave($note->{ticket});
	}
	$self->{xacts}++;
	$self->{notes} = [];
	$self->{levels} = [];
	$self->{journal} = [];
	return;
}

sub rollback_to
{
	my ($self, $level) = @_;
	$self->roll_back_level($level);
	$self->{aborted} = 0;
	return;
}

# What has been done since the savepoint belongs to the level below.
sub release_savepoint
{
	my ($self, $level) = @_;
	for my $note (@{ $self->{notes} })
	{
		$note->{level} = $level - 1 if $note->{level} >= $level;
	}
	$#{ $self->{levels} } = $level - 2;
	return;
}

# An operation, in its own transaction if none is open.  Returns what it returns, or
# "ERROR:  " and the SQLSTATE.
sub statement
{
	my ($self, $operation) = @_;
	my $single = !$self->in_transaction;
	my $result;

	return 'ERROR:  25P02' if $self->{aborted};
	$self->begin if $single;
	if (eval { $result = $operation->(); 1 })
	{
		$self->commit if $single;
		return $result;
	}
	die $@ unless ref $@ eq 'SCALAR';
	$result = 'ERROR:  ' . ${$@};
	if ($single)
	{
		$self->rollback;
		return $result;
	}
	$self->roll_back_level($self->in_transaction);
	$self->{aborted} = 1;
	return $result;
}

# Tickets.  One has a queue, perhaps a limit, perhaps a group, and a number of
# entries: the leases of jobs that share it.  That of the group can be lent by itself.

sub is_full
{
	my ($gate) = @_;
	return defined $gate->{max_running} && $gate->{running} >= $gate->{max_running};
}

sub limit_of
{
	my ($self, $queue) = @_;
	return defined $queue->{shared_limit} ? $self->{limits}{ $queue->{shared_limit} } : undef;
}

sub leave
{
	my ($self, $ticket) = @_;
	$self->leave_queue($ticket);
	$self->leave_group($ticket);
	return;
}

sub leave_queue
{
	my ($self, $ticket) = @_;
	return if $ticket->{borrowed};
	$_->{running}-- for grep { defined } @$ticket{ 'queue', 'limit' };
	return;
}

sub leave_group
{
	my ($self, $ticket) = @_;
	$ticket->{group}{running}-- if $ticket->{group} && !$ticket->{group_borrowed};
	return;
}

# Whether a job that ends lends its ticket.
sub may_lend
{
	my ($gate) = @_;
	return !defined $gate->{max_running} || $gate->{running} <= $gate->{max_running};
}

# Whether this transaction ends all jobs that share a ticket.
sub all_end
{
	my ($self, $ticket, $note) = @_;
	my %ended = map { ("$_->{label} $_->{lease}" => 1) }
	  grep { $_->{kind} eq 'end' && $_->{lease} == $note->{lease} } @{ $self->{notes} };
	return !grep { !$ended{"$_->{label} $_->{lease}"} } @{ $ticket->{entries} };
}

# The end that lends its ticket to a claim of the queue.
sub lend
{
	my ($self, $queue) = @_;
	my $limit = $self->limit_of($queue);

	return unless (defined $queue->{max_running} || $limit) && may_lend($queue);
	return if $limit && !may_lend($limit);
	for my $note (reverse @{ $self->{notes} })
	{
		last if $note->{level} != $self->in_transaction;
		next if $note->{kind} ne 'end' || $note->{lent} || $note->{queue} != $queue;
		my $entry = $self->entry_of($note) or next;
		my $ticket = $entry->{ticket};
		next if $ticket->{lent} || ($ticket->{limit} // 0) != ($limit // 0);
		next unless $self->all_end($ticket, $note);
		$ticket->{lent} = 1;
		$note->{lent} = $ticket;
		return $note;
	}
	return;
}

# A ticket for a claim of the queue.
sub draw
{
	my ($self, $queue) = @_;
	my $limit = $self->limit_of($queue);
	my $ticket = { queue => $queue, limit => $limit, entries => [] };

	if (is_full($queue) || ($limit && is_full($limit)))
	{
		$ticket->{lender} = $self->lend($queue) or return;
		$ticket->{borrowed} = 1;
		return $ticket;
	}
	$queue->{running}++;
	$limit->{running}++ if $limit;
	return $ticket;
}

# No job was found for it.
sub return_ticket
{
	my ($self, $ticket) = @_;
	my $lender = delete $ticket->{lender};
	return $self->leave($ticket) unless $lender;
	$self->take_back_queue($lender);
	return;
}

sub entry_of
{
	my ($self, $note) = @_;
	return $self->{entries}{"$note->{label} $note->{lease}"};
}

# Removes an entry; the last one gives back what has not been lent.
sub forget_entry
{
	my ($self, $note) = @_;
	my $entry = $self->entry_of($note) or return;
	my $ticket = $entry->{ticket};

	delete $self->{entries}{"$note->{label} $note->{lease}"};
	$ticket->{entries} = [ grep { $_ != $entry } @{ $ticket->{entries} } ];
	return if @{ $ticket->{entries} };
	if (!$ticket->{lent})
	{
		delete $ticket->{borrowed};
		$self->leave_queue($ticket);
	}
	if (!$ticket->{group_lent})
	{
		delete $ticket->{group_borrowed};
		$self->leave_group($ticket);
	}
	return;
}

sub undo_claim
{
	my ($self, $note) = @_;
	my $entry = $self->entry_of($note) or return;
	my $ticket = $entry->{ticket};

	$ticket->{lent} = 1 if $ticket->{borrowed};
	$ticket->{group_lent} = 1 if $ticket->{group_borrowed};
	$self->forget_entry($note);
	return;
}

# An end has lent its ticket to a claim that is undone, or was not made.
sub take_back_queue
{
	my ($self, $note) = @_;
	my $ticket = delete $note->{lent} or return;
	delete $ticket->{lent};
	$self->leave_queue($ticket) unless @{ $ticket->{entries} };
	return;
}

sub take_back_group
{
	my ($self, $note) = @_;
	my $ticket = delete $note->{lent_group} or return;
	delete $ticket->{group_lent};
	$self->leave_group($ticket) unless @{ $ticket->{entries} };
	return;
}

# Rates: {limit, burst, interval}, the interval in ticks.

sub tolerance
{
	my ($rate) = @_;
	return ($rate->{burst} - 1) * $rate->{interval} * TICK;
}

sub is_open
{
	my ($gate, $rate, $now) = @_;
	return $gate->{tat} - tolerance($rate) <= $now;
}

sub count_start
{
	my ($gate, $rate, $now) = @_;
	$gate->{tat} = max($gate->{tat}, $now) + $rate->{interval} * TICK;
	return;
}

# The latest that a gate can be.  Where it limits enqueues, others may have gone
# through while it was shut.
sub latest
{
	my ($rate, $now, $forced) = @_;
	my $ahead =
	  $forced ? $rate->{interval} * ($rate->{limit} - $rate->{burst} + 1) : $rate->{interval};
	return $now + $ahead * TICK + tolerance($rate);
}

sub limits_starts
{
	my ($queue) = @_;
	return $queue->{rate} && $queue->{on_limit} eq 'wait';
}

# Whether throttles and rates let one more job start.
sub may_start
{
	my ($self, $queue, $now) = @_;
	my $limit = $self->limit_of($queue);

	return 0 if $queue->{throttled} > $now;
	return 0 if limits_starts($queue) && !is_open($queue, $queue->{rate}, $now);
	return !$limit || !$limit->{rate} || is_open($limit, $limit->{rate}, $now);
}

sub start
{
	my ($self, $queue, $now) = @_;
	my $limit = $self->limit_of($queue);

	count_start($queue, $queue->{rate}, $now) if limits_starts($queue);
	count_start($limit, $limit->{rate}, $now) if $limit && $limit->{rate};
	return;
}

# How many of the new jobs the queue's rate admits.
sub admit
{
	my ($self, $queue, $njobs, $now) = @_;
	my $before = $queue->{tat};
	my $n = 0;
	my $last;

	while ($n < $njobs && is_open($queue, $queue->{rate}, $now))
	{
		count_start($queue, $queue->{rate}, $now);
		$n++;
	}
	return 0 if $n == 0;
	$last = $self->{last_admitted};
	$last = undef
	  unless $last
	  && grep({ $_ == $last } @{ $self->{notes} })
	  && $last->{level} == $self->in_transaction
	  && $last->{queue} == $queue;
	$last //= $self->note(
		kind => 'admitted',
		queue => $queue,
		before => $before,
		after => $before);
	$self->{last_admitted} = $last;
	$last->{before} = $before if $last->{after} != $before;
	$last->{after} = $queue->{tat};
	return $n;
}

sub undo_admitted
{
	my ($self, $note) = @_;
	$note->{queue}{tat} = $note->{before} if $note->{queue}{tat} == $note->{after};
	return;
}

# Jobs.

# The order in which ready jobs of a queue start.
sub compare_jobs
{
	my ($x, $y) = @_;
	return
		 $x->{priority} <=> $y->{priority}
	  || $y->{mirrored} <=> $x->{mirrored}
	  || ($x->{mirrored} ? $y->{run_at} <=> $x->{run_at} : $x->{run_at} <=> $y->{run_at})
	  || $x->{label} <=> $y->{label};
}

# Jobs of a queue that could start now.
sub ready
{
	my ($self, $queue, $now) = @_;
	return grep { $_->{state} eq 'pending' && $_->{run_at} <= $now } values %{ $queue->{jobs} };
}

# A job gets a place in its queue that others do not know before the commit.
sub touch
{
	my ($self, $job) = @_;
	$job->{fresh} = $self->{xacts};
	return;
}

sub set_run_at
{
	my ($self, $job, $run_at, $mirrored) = @_;
	$self->set($job, 'run_at', $run_at);
	$self->set($job, 'mirrored', $mirrored // 0);
	$self->set($job, 'not_before', undef);
	$self->touch($job);
	return;
}

# Cancels the first ready jobs, or where there are groups, or of a lifo queue, the oldest
# ones; returns how many.
sub make_room
{
	my ($self, $queue, $wanted, $now) = @_;
	my @ready;

	return $self->drop_by_age($queue, $wanted, $now)
	  if $queue->{lifo} || grep { defined $_->{group} } $self->live($queue->{name});
	@ready = sort { compare_jobs($a, $b) } $self->ready($queue, $now);
	$#ready = $wanted - 1 if @ready > $wanted;
	$self->set($_, 'state', 'cancelled') for @ready;
	return scalar @ready;
}

# Refuses jobs that a full queue has no room for.
sub check_room
{
	my ($self, $queue, $njobs, $now) = @_;
	my $most = $queue->{max_queued} or return;
	my $over = $self->live($queue->{name}) + $njobs - $most;

	$over -= $self->make_room($queue, $over, $now)
	  if $over > 0 && $queue->{on_full} eq 'drop_oldest' && $njobs <= $most;
	die \'JQ002' if $over > 0;
	return;
}

# enqueue and enqueue_many: returns the new jobs, undef for those that were skipped.
sub enqueue
{
	my ($self, $name, %opt) = @_;
	my $queue = $self->{queues}{$name};
	my $njobs = $opt{njobs} // 1;
	my $now = $self->now;
	my $admitted = $njobs;
	my @jobs;

	die \'JQ002' if $queue->{draining};
	if ($queue->{rate} && !limits_starts($queue))
	{
		$admitted = $self->admit($queue, $njobs, $now);
		die \'JQ003' if $admitted < $njobs && $queue->{on_limit} eq 'error';
	}
	$self->check_room($queue, $admitted, $now) if $admitted > 0;
	for my $i (1 .. $njobs)
	{
		my $label = $opt{labels}[ $i - 1 ];
		my $job = {
			label => $label,
			queue => $queue,
			group => $opt{groups}[ $i - 1 ],
			fresh => $self->{xacts},
			priority => $opt{priority} // 0,
			run_at => $now + ($opt{delay} // 0) * TICK,
			mirrored => $queue->{lifo} && !$opt{delay} ? 1 : 0,
			state => 'pending',
			attempt => 0,
			ttl => $opt{ttl},
			max_attempts => $opt{max_attempts} // MAX_ATTEMPTS,
		};
		next if $i > $admitted;
		$self->set($queue->{jobs}, $label, $job);
		$self->set($self->{jobs}, $label, $job);
		push @jobs, $job;
	}
	return \@jobs;
}

# Claims jobs; the code claims one that has been found, with a ticket or undef.
sub claim_jobs
{
	my ($self, $queue, $max_jobs, $claim) = @_;
	my $in_batch = $queue->{batch_size} > 1;
	my $ticket;
	my @jobs;

	return if $queue->{paused};
	$max_jobs = min($max_jobs, $queue->{batch_size}) if $in_batch;
	while (@jobs < $max_jobs)
	{
		my $now = $self->now;
		my $has_ticket = $in_batch && @jobs > 0;
		my $job;

		if (!$has_ticket)
		{
			last unless $self->may_start($queue, $now);
			$ticket = $self->draw($queue) or last;
		}
		$job =
			$has_ticket
		  ? $self->next_of_batch($queue, $now, $jobs[-1])
		  : $self->pick($queue, $now, $ticket);
		if (!$job)
		{
			$self->return_ticket($ticket) unless $has_ticket;
			last;
		}
		$self->start($queue, $now) unless $has_ticket;
		$claim->($job, $ticket, $now, $has_ticket);
		push @jobs, $job;
	}
	return @jobs;
}

# dequeue: returns the jobs.
sub dequeue
{
	my ($self, $name, $max_jobs, $lease_ticks, $lease) = @_;
	my $queue = $self->{queues}{$name};

	return $self->claim_jobs(
		$queue,
		$max_jobs,
		sub {
			my ($job, $ticket, $now) = @_;
			my $entry = { label => $job->{label}, lease => $lease, ticket => $ticket };

			push @{ $ticket->{entries} }, $entry;
			$self->{entries}{"$job->{label} $lease"} = $entry;
			$self->note(kind => 'claim', label => $job->{label}, lease => $lease);
			$self->set($job, 'state', 'running');
			$self->set($job, 'ttl', undef);
			$self->set($job, 'attempt', $job->{attempt} + 1);
			$self->set($job, 'lease', $lease);
			$self->set($job, 'until', $now + ($lease_ticks // LEASE) * TICK);
		});
}

# take: the jobs are completed, and their tickets kept until the transaction ends.
sub take
{
	my ($self, $name, $max_jobs) = @_;
	my $queue = $self->{queues}{$name};

	return $self->claim_jobs(
		$queue,
		$max_jobs,
		sub {
			my ($job, $ticket, $now, $shares) = @_;
			$self->note(kind => 'take', ticket => $shares ? undef : $ticket);
			$self->set($job, 'state', 'completed');
			$self->set($job, 'attempt', $job->{attempt} + 1);
		});
}

# The job, if the lease holds it.
sub held
{
	my ($self, $label, $lease) = @_;
	my $job = $self->{jobs}{$label};
	return $job && $job->{state} eq 'running' && $job->{lease} == $lease ? $job : undef;
}

sub require_held
{
	my ($self, $label, $lease) = @_;
	return $self->held($label, $lease) // die \'JQ001';
}

sub end_lease
{
	my ($self, $job) = @_;
	$self->note(
		kind => 'end',
		label => $job->{label},
		lease => $job->{lease},
		queue => $job->{queue});
	$self->set($job, 'lease', undef);
	return;
}

sub complete_job
{
	my ($self, $job) = @_;
	$self->end_lease($job);
	$self->set($job, 'state', 'completed');
	return;
}

sub complete
{
	my ($self, $label, $lease) = @_;
	$self->complete_job($self->require_held($label, $lease));
	return '';
}

# complete_many: returns how many jobs it has completed.
sub complete_many
{
	my ($self, $labels, $lease) = @_;
	my @held = grep { defined } map { $self->held($_, $lease) } sort { $a <=> $b } @$labels;
	$self->complete_job($_) for @held;
	return scalar @held;
}

# Whether a job that is to be tried again holds up those behind it in its group.
sub keeps_place
{
	my ($job) = @_;
	my $queue = $job->{queue};
	return
		 defined $job->{group}
	  && ($queue->{max_per_group} // 0) == 1
	  && $queue->{on_failure} eq 'wait';
}

# The job is to run again.
sub give_back
{
	my ($self, $job, $run_at) = @_;

	$self->set($job, 'state', 'pending');
	$self->touch($job);
	if (!keeps_place($job))
	{
		$self->set_run_at($job, $run_at) if defined $run_at;
	}
	elsif (defined $run_at && $run_at > $self->now)
	{
		$self->set($job, 'not_before', $run_at);
	}
	return;
}

# After an attempt that has failed; a delay of 0 keeps its place, unless that is the
# one of a new job in a lifo queue.  Returns the new state.
sub fail_job
{
	my ($self, $job, $delay, $retryable) = @_;
	my $now = $self->now;

	$self->end_lease($job);
	if (!$retryable || $job->{attempt} >= $job->{max_attempts})
	{
		$self->set($job, 'state', 'dead');
		return 'dead';
	}
	$self->give_back($job, $delay > 0 || $job->{mirrored} ? $now + $delay * TICK : undef);
	return $delay > 0 ? 'scheduled' : 'ready';
}

sub fail
{
	my ($self, $label, $lease, $retry_in, $retryable) = @_;
	return $self->fail_job($self->require_held($label, $lease), $retry_in // BACKOFF, $retryable);
}

sub release
{
	my ($self, $label, $lease, $delay) = @_;
	my $job = $self->require_held($label, $lease);

	$self->end_lease($job);
	$self->set($job, 'attempt', max($job->{attempt} - 1, 0));
	$self->give_back($job, $delay > 0 ? $self->now + $delay * TICK : undef);
	return '';
}

sub heartbeat
{
	my ($self, $label, $lease, $extend) = @_;
	my $job = $self->{jobs}{$label};

	return 'f'
	  if $job
	  && $job->{state} eq 'cancelled'
	  && ($job->{cancelled_lease} // '') eq $lease;
	$job = $self->require_held($label, $lease);
	$self->set($job, 'until', $self->now + $extend * TICK);
	return 't';
}

sub cancel
{
	my ($self, $label) = @_;
	my $job = $self->{jobs}{$label};

	return 'f' unless $job && $job->{state} =~ /^(?:pending|running)$/;
	# a heartbeat of the lease that this ends returns false
	$self->set($job, 'cancelled_lease', $job->{lease});
	$self->end_lease($job) if $job->{state} eq 'running';
	$self->set($job, 'state', 'cancelled');
	return 't';
}

sub delete_job
{
	my ($self, $label) = @_;
	my $job = $self->{jobs}{$label};

	return 'f' if !$job || $job->{state} eq 'running';
	$self->set($job, 'state', 'deleted');
	$self->set($self->{jobs}, $label, undef);
	$self->set($job->{queue}{jobs}, $label, undef);
	return 't';
}

# retry: whether the job was finished, and is ready again, for however long.
sub retry
{
	my ($self, $label) = @_;
	my $job = $self->{jobs}{$label};

	return 0 if !$job || $job->{state} =~ /^(?:pending|running)$/;
	$self->set($job, 'state', 'pending');
	$self->set($job, 'ttl', undef);
	$self->set($job, 'attempt', 0);
	$self->set_run_at($job, $self->now);
	return 1;
}

sub pending
{
	my ($self, $label) = @_;
	my $job = $self->{jobs}{$label};
	return $job && $job->{state} eq 'pending' ? $job : undef;
}

sub promote
{
	my ($self, $label) = @_;
	my $now = $self->now;
	my $job = $self->pending($label);

	return 'f' unless $job && ($job->{run_at} > $now || JobqGroupModel::is_held_back($job, $now));
	if ($job->{run_at} > $now)
	{
		$self->set_run_at($job, $now);
	}
	else
	{
		$self->set_run_at($job, $job->{run_at}, $job->{mirrored});
	}
	return 't';
}

sub reschedule
{
	my ($self, $label, $delay) = @_;
	my $job = $self->pending($label) or return 'f';
	$self->set_run_at($job, $self->now + $delay * TICK);
	return 't';
}

sub set_priority
{
	my ($self, $label, $priority) = @_;
	my $job = $self->pending($label) or return 'f';
	$self->set($job, 'priority', $priority);
	$self->touch($job);
	return 't';
}

# Queues and limits.

# A flag of a queue: whether it has changed.
sub set_flag
{
	my ($self, $name, $flag, $value) = @_;
	my $queue = $self->{queues}{$name};
	return 'f' if $queue->{$flag} == $value;
	$self->set($queue, $flag, $value);
	return 't';
}

# resume: ends both.
sub resume
{
	my ($self, $name) = @_;
	my @changed = map { $self->set_flag($name, $_, 0) } 'paused', 'draining';
	return (first { $_ eq 't' } @changed) // 'f';
}

# The server is restarted, outside transactions.  The slots that running jobs have are
# those of the limits that their queues share by now.
sub restart
{
	my ($self) = @_;
	my %tickets = map { ($_->{ticket} => $_->{ticket}) } values %{ $self->{entries} };

	for my $ticket (values %tickets)
	{
		$ticket->{limit}{running}-- if $ticket->{limit};
		$ticket->{limit} = $self->limit_of($ticket->{queue});
		$ticket->{limit}{running}++ if $ticket->{limit};
	}
	$_->{throttled} = $_->{tat} = 0 for values %{ $self->{queues} };
	$_->{tat} = 0 for values %{ $self->{limits} };
	$_->{tat} = 0 for map { values %{ $_->{groups} } } values %{ $self->{queues} };
	$self->forget_turns;
	return;
}

# An option of a queue or limit, undef: its default.
sub alter
{
	my ($self, $object, %options) = @_;
	$self->set($object, $_, $options{$_}) for sort keys %options;
	return '';
}

# Holds whatever becomes of the transaction.
sub throttle
{
	my ($self, $name, $delay) = @_;
	$self->{queues}{$name}{throttled} = $delay > 0 ? $self->now + $delay * TICK : 0;
	return '';
}

# Whether a gate could have been left so by this rate.
sub suits
{
	my ($self, $gate, $rate, $forced) = @_;
	return $gate->{tat} <= latest($rate, $self->now, $forced);
}

# Time passes, outside transactions.  Returns the jobs whose leases are over, which are
# tried again at once, or dead, and those that expire.  The order of those in second
# place is not known: they are ready from the time on at which that was noticed.
sub advance
{
	my ($self, $ticks) = @_;
	my (@lost, @expired, @unordered);
	my $now;

	$self->{ticks} += $ticks;
	$now = $self->now;
	@lost = grep { $_->{state} eq 'running' && $_->{until} <= $now } values %{ $self->{jobs} };
	@expired =
	  grep { $_->{state} eq 'pending' && $_->{ttl} && $_->{run_at} + $_->{ttl} * TICK <= $now }
	  values %{ $self->{jobs} };
	$self->begin;
	$self->set($_, 'state', 'expired') for @expired;

	for my $job (@lost)
	{
		push @unordered, $job if $job->{mirrored} && !keeps_place($job);
		$self->fail_job($job, 0, 1);
	}
	$self->commit;
	return ([ @lost, @expired ], [ grep { $_->{state} eq 'pending' } @unordered ]);
}

# All of the model, for people: a line for each queue and limit, without what is
# as at the beginning.
sub describe
{
	my ($self) = @_;
	my $text = sprintf("    at %d, levels %d%s\n",
		$self->{ticks}, $self->in_transaction, $self->{aborted} ? ', aborted' : '');

	for my $object (
		map {
			my $of = $self->{$_};
			map { $of->{$_} } sort keys %$of
		} 'queues',
		'limits')
	{
		my $line = join ' ', map { "$_=" . describe_value($object->{$_}) }
		  grep { $_ !~ /^(?:jobs|name)$/ && $object->{$_} } sort keys %$object;
		my @jobs = sort { compare_jobs($a, $b) }
		  grep { $_->{state} =~ /^(?:pending|running)$/ } values %{ $object->{jobs} // {} };

		$text .= "    $object->{name}: $line | " . join(
			' ',
			map {
					"$_->{label}@"
				  . describe_value($_->{run_at})
				  . ($_->{mirrored}      ? '*'                                               : '')
				  . (defined $_->{group} ? " of $_->{group}"                                 : '')
				  . ($_->{not_before}    ? ' not before ' . describe_value($_->{not_before}) : '')
				  . ($_->{state} eq 'running' ? ' until ' . describe_value($_->{until}) : '') . ','
			} @jobs) . "\n";
	}
	return $text;
}

sub describe_value
{
	my ($value) = @_;
	return join('/', @$value{qw(limit burst interval)}) if ref $value;
	return $value < TICK ? $value : sprintf('%.7f', $value / TICK)
	  if $value =~ /^[0-9]+$/;
	return $value;
}

1;
