# JobqGroupModel.pm
#
# Whose turn it is among the groups of a queue: a part of JobqFlowModel.pm.
#
# The jobs of a queue with the same group are a stream; those without a group are one
# more, ''.  A stream gives its first job, or none: it may be full, or its first job
# be one that is to be tried again later.  Which stream is next is not modelled: it
# depends on looks of others, and on when groups were read.  So the test, which has
# asked the server, tells the model which jobs it has given (given, dropped).  The model judges
# whether they were the first ones of streams that could give one, and whether the
# turns were fair: no stream is passed over again and again by the same one.
#
# What is wrong ends the test, as an error that is a string.

package JobqGroupModel;

use strict;
use warnings;

use List::Util qw(min sum0);

# How often a stream that could give a job may be passed over by the same other one.
# Once, if it stays where it is.  When it comes back it is the last one; and after a
# reset, others have a round of turns before it is read.  Where memory has no room for it,
# it has to wait until there is some.
use constant { MOST_PASSES => 4, MOST_PASSES_WITHOUT_ROOM => 40 };

# Streams.

sub group_of
{
	my ($queue, $name) = @_;
	return $queue->{groups}{$name} //= { name => $name, running => 0, tat => 0 };
}

sub stream_of
{
	my ($job) = @_;
	return $job->{group} // '';
}

# Pending jobs whose time has come, by stream.
sub streams
{
	my ($self, $queue, $now) = @_;
	my %streams;

	push @{ $streams{ stream_of($_) } }, $_ for $self->ready($queue, $now);
	return \%streams;
}

# How many more jobs of a group may run, by its queue, and by the limit that this shares,
# which counts those of all its queues; undef: any number.  A queue begins to share a limit,
# and leaves it, when no job of a group runs.
sub room_in_group
{
	my ($self, $queue, $stream) = @_;
	my $limit = $self->limit_of($queue);
	my @room;

	return if $stream eq '';
	push @room, $queue->{max_per_group} - group_of($queue, $stream)->{running}
	  if defined $queue->{max_per_group};
	push @room,
	  $limit->{max_per_group} - sum0(
		map  { ($_->{groups}{$stream} // { running => 0 })->{running} }
		grep { ($_->{shared_limit}    // '') eq $limit->{name} } values %{ $self->{queues} }
	  ) if $limit && defined $limit->{max_per_group};
	return min(@room);
}

sub is_full_group
{
	my ($self, $queue, $stream) = @_;
	return ($self->room_in_group($queue, $stream) // 1) <= 0;
}

# Whether the rate of groups lets no job of a stream start.
sub is_shut_group
{
	my ($queue, $stream, $now) = @_;
	return
		 $stream ne ''
	  && $queue->{group_rate}
	  && !JobqFlowModel::is_open(group_of($queue, $stream), $queue->{group_rate}, $now);
}

# Whether a job that was tried waits until it is tried again, and those behind it.
sub is_held_back
{
	my ($job, $now) = @_;
	return ($job->{not_before} // 0) > $now;
}

# The first of these jobs, undef if it is held back.
sub head
{
	my ($jobs, $now) = @_;
	my $best;

	for my $job (@$jobs)
	{
		$best = $job if !$best || JobqFlowModel::compare_jobs($job, $best) < 0;
	}
	return $best && is_held_back($best, $now) ? undef : $best;
}

# Whether a stream of a queue with batch_wait hands out jobs.
sub is_ripe
{
	my ($queue, $jobs, $now) = @_;
	my @free;

	return 1 if $queue->{batch_size} <= 1 || $queue->{batch_wait} == 0;
	@free = grep { !is_held_back($_, $now) } @$jobs;
	return @free >= $queue->{batch_size}
	  || grep { $now - $_->{run_at} >= $queue->{batch_wait} * JobqFlowModel::TICK() } @free;
}

# The jobs that could be next, by stream.
sub could_be_next
{
	my ($self, $queue, $now) = @_;
	my $streams = $self->streams($queue, $now);
	my %heads;

	for my $stream (keys %$streams)
	{
		my $jobs = $streams->{$stream};
		next if $self->is_full_group($queue, $stream) || is_shut_group($queue, $stream, $now);
		next unless is_ripe($queue, $jobs, $now);
		my $head = head($jobs, $now) // next;
		$heads{$stream} = $head;
	}
	return \%heads;
}

# The same of groups that get a ticket from a job that this transaction ends, with
# the notes of their ends.
sub could_be_lent
{
	my ($self, $queue, $now) = @_;
	my $streams = $self->streams($queue, $now);
	my $limit = $self->limit_of($queue);
	my (%heads, %lenders);

	return \%heads
	  unless defined $queue->{max_per_group}
	  || ($limit && defined $limit->{max_per_group});
	for my $note (reverse @{ $self->{notes} })
	{
		last if $note->{level} != $self->in_transaction;
		next if $note->{kind} ne 'end' || $note->{lent_group} || $note->{queue} != $queue;
		my $entry = $self->entry_of($note) or next;
		my $ticket = $entry->{ticket};
		my $group = $ticket->{group} or next;
		my $name = $group->{name};
		my $jobs = $streams->{$name} or next;
		next if $ticket->{group_lent} || $heads{$name} || !$self->all_end($ticket, $note);
		next if is_shut_group($queue, $name, $now);
		next if $self->room_in_group($queue, $name) < 0 || !is_ripe($queue, $jobs, $now);
		$heads{$name} = head($jobs, $now) // next;
		$lenders{$name} = $note;
	}
	delete $heads{$_} for grep { !$heads{$_} } keys %heads;
	return \%heads, \%lenders;
}

sub describe_job
{
	my ($job) = @_;
	return join(' ',
		$job->{label}, $job->{state}, 'of',
		$job->{group} // 'no group',
		map { "$_ $job->{$_}" } grep { defined $job->{$_} } qw(priority run_at not_before fresh));
}

# Turns.

# A stream has had its turn; the others that could have are passed over.  Jobs of a
# transaction that has not ended are not known to the roster.
sub take_turn
{
	my ($self, $queue, $heads, $stream) = @_;
	my $passed = $queue->{passed};

	delete $passed->{$_} for grep { !$heads->{$_} } keys %$passed;
	delete $passed->{$stream};
	for my $other (grep { $_ ne $stream } keys %$heads)
	{
		next if ($heads->{$other}{fresh} // 0) == $self->{xacts};
		die "stream \"$other\" of $queue->{name} is passed over by \"$stream\" too often\n"
		  if ++$passed->{$other}{$stream} > $self->{most_passes};
	}
	return;
}

# Nothing is known of the turns any more.
sub forget_turns
{
	my ($self, @queues) = @_;
	$_->{passed} = {} for @queues ? @queues : values %{ $self->{queues} };
	return;
}

# Which of the streams the server has taken; undef if it has found none.
sub chosen
{
	my ($self, $queue, $heads) = @_;
	my $given = $self->{given};
	my $stream;

	return (sort keys %$heads)[0] unless $given;
	if (!@$given || !$queue->{jobs}{ $given->[0] })
	{
		$self->{short} = join ', ', map { $heads->{$_}{label} } sort keys %$heads;
		return;
	}
	($stream) = grep { $heads->{$_}{label} == $given->[0] } keys %$heads;
	die "job $given->[0] of $queue->{name} is not next; could be: "
	  . join(', ', map { "$heads->{$_}{label} ($_)" } sort keys %$heads) . "\n"
	  unless defined $stream;
	shift @$given;
	return $stream;
}

# Whether a claim has found no other group: there may be no room for those that there are.
sub has_to_lend
{
	my ($self, $heads) = @_;
	my $given = $self->{given};

	return 1 unless %$heads;
	return
		 $self->{memory_is_short}
	  && $given
	  && @$given
	  && !grep { $_->{label} == $given->[0] } values %$heads;
}

# The next job of a queue, with the ticket of its group.
sub pick
{
	my ($self, $queue, $now, $ticket) = @_;
	my ($heads, $lenders) = $self->could_be_next($queue, $now);
	my ($stream, $lender);

	($heads, $lenders) = $self->could_be_lent($queue, $now) if $self->has_to_lend($heads);
	return unless %$heads;
	$stream = $self->chosen($queue, $heads) // return;
	$self->take_turn($queue, $heads, $stream) unless $lenders;
	if ($stream ne '')
	{
		$ticket->{group} = group_of($queue, $stream);
		if ($lenders)
		{
			$lender = $lenders->{$stream};
			$lender->{lent_group} = $self->entry_of($lender)->{ticket};
			$lender->{lent_group}{group_lent} = 1;
			$ticket->{group_borrowed} = 1;
		}
		else
		{
			$ticket->{group}{running}++;
		}
		JobqFlowModel::count_start($ticket->{group}, $queue->{group_rate}, $now)
		  if $queue->{group_rate};
	}
	return $heads->{$stream};
}

# The next job of the same stream, for a batch.
sub next_of_batch
{
	my ($self, $queue, $now, $before) = @_;
	my $job = head($self->streams($queue, $now)->{ stream_of($before) } // [], $now) // return;
	my $heads = { stream_of($before) => $job };

	return defined $self->chosen($queue, $heads) ? $job : undef;
}

# Whether one job has waited longer than another.  Those that were added together may
# be in any order, but for those of one lane.
sub is_older
{
	my ($x, $y) = @_;

	return $x->{run_at} < $y->{run_at} if $x->{run_at} != $y->{run_at};
	return 0
	  if stream_of($x) ne stream_of($y)
	  || $x->{priority} != $y->{priority}
	  || $x->{mirrored} != $y->{mirrored};
	return $x->{mirrored} ? $x->{label} > $y->{label} : $x->{label} < $y->{label};
}

# Cancels the jobs that have waited longest, to make room; returns how many.  Those that
# had been somewhere else, or changed, may be passed over.
sub drop_by_age
{
	my ($self, $queue, $wanted, $now) = @_;
	my $told = $self->{dropped};
	my @ready = sort { $a->{run_at} <=> $b->{run_at} || $a->{label} <=> $b->{label} }
	  grep { !is_held_back($_, $now) } $self->ready($queue, $now);
	my $n = $wanted < @ready ? $wanted : scalar @ready;
	my @dropped = $told ? grep { $told->{ $_->{label} } } @ready : @ready[ 0 .. $n - 1 ];
	my %is_dropped = map { ($_->{label} => 1) } @dropped;

	die "dropped of $queue->{name}: "
	  . join(', ', map { describe_job($_) } @dropped)
	  . ", which are not $n\n"
	  if @dropped != $n;
	for my $job (grep { !$is_dropped{ $_->{label} } && !$_->{moved} } @ready)
	{
		for my $newer (grep { is_older($job, $_) } @dropped)
		{
			die 'older: ' . describe_job($job) . '; dropped: ' . describe_job($newer) . "\n";
		}
	}
	$self->set($_, 'state', 'cancelled') foreach @dropped;
	# in which order is not told
	$self->forget_turns($queue);
	return $n;
}

# Whether a session in wait() would be told that there is a job, and so whether a claim
# finds one.
sub would_start
{
	my ($self, $name) = @_;
	my $queue = $self->{queues}{$name};
	my $limit = $self->limit_of($queue);
	my $now = $self->now;

	return 0 if $queue->{paused} || !$self->may_start($queue, $now);
	return 0 if JobqFlowModel::is_full($queue) || ($limit && JobqFlowModel::is_full($limit));
	return %{ $self->could_be_next($queue, $now) } ? 1 : 0;
}

# Whether there may be no room to count what the limit of a queue lets in: its groups, and
# those of others that share it.
sub may_be_uncounted
{
	my ($self, $name) = @_;
	return $self->{memory_is_short} && defined $self->{queues}{$name}{shared_limit};
}

# Running jobs of groups, as text.
sub running_in_groups
{
	my ($self, $name) = @_;
	my $groups = $self->{queues}{$name}{groups};
	return join ' ', map { "$_:$groups->{$_}{running}" }
	  grep { $groups->{$_}{running} > 0 } sort keys %$groups;
}

1;
