# JobqWitness.pm
#
# Judges from outside whether limits were kept: by the lines that jobs have written to
# the server's log when they started and ended (test/kills/schema.sql says which). The
# log is judged by the order of its lines alone, but for leases, of which the end is a
# time: each line is written at once and at the end of the file, so that whatever
# happens before something else in the server is before it in the log.
#
#   my $judge = JobqWitness->new(limits => { q1 => 1, 'g3/a' => 3 }, serial => ['g1/a']);
#   $judge->read_lines(@lines);
#   my $verdict = $judge->verdict;
#
# A job has the place of its limit at least from the line that says that it starts to
# the first of
#   - the line that says that it ends, which it writes before it gives the place back;
#   - the end of its client's connection in the middle of a transaction;
#   - the end of all processes of a server that crashes or is started anew, but not for
#     leases, unless the claim was lost: a later start has no higher attempt;
#   - the end of the lease.
# "witness over" lines come from jobs that have found no free place of their limit,
# which transactions have until they are over. When the postmaster has been killed its
# background workers exit one after the other, and write no line: until the server is
# there again, only these lines count.
#
# What was killed is in the log, too: "witness kill KIND SCOPE AT", where the scope is
# "-" if the whole server crashed.

package JobqWitness;

use strict;
use warnings;

use List::Util  qw(max);
use Time::Local qw(timegm);

# new(%options):
#   limits => { scope => how many may run }
#   serial => [scopes whose jobs run in the order of their ids]
sub new
{
	my ($class, %opt) = @_;
	return bless {
		limits => $opt{limits},
		serial => $opt{serial} || [],
		events => [],
		rates => {},
	}, $class;
}

# read_lines(@lines): of the log, in order.
sub read_lines
{
	my ($self, @lines) = @_;
	foreach my $line (@lines)
	{
		my $event = parse($line) or next;
		$event->{place} = @{ $self->{events} };
		push @{ $self->{events} }, $event;
		$self->{rates}{ $event->{scope} }{ $event->{job} }{ $event->{at} } = 1
		  if $event->{what} eq 'rate';
	}
	return;
}

# add_start($scope, $job, $at): a start under a rate that is known from elsewhere.
sub add_start
{
	my ($self, $scope, $job, $at) = @_;
	$self->{rates}{$scope}{$job}{$at} = 1;
	return;
}

# What a line of the log says, or nothing.
sub parse
{
	my ($line) = @_;
	my ($pid) = $line =~ /\[(\d+)\]/;

	if ($line =~ /witness (start|end|over|rate|kill) (.*)/)
	{
		my ($what, @words) = ($1, split(' ', $2));
		my %event = (what => $what, pid => $pid);
		my @names =
			$what eq 'start' ? qw(scope job attempt holder at until)
		  : $what eq 'end'   ? qw(scope job holder)
		  : $what eq 'kill'  ? qw(kind scope at)
		  :                    qw(scope job at);
		@event{@names} = @words;
		return \%event;
	}
	return { what => 'left', pid => $pid }
	  if $line =~ /unexpected EOF on client connection with an open tr|connection to client lost/;
	return { what => 'crash' }
	  if $line =~ /all server processes terminated; reinitializing|starting PostgreSQL/;
	return { what => 'ready', at => time_of($line) }
	  if $line =~ /database system is ready to accept connections/;
	return;
}

# The time at which a line was written, in microseconds.
sub time_of
{
	my ($line) = @_;
	my ($y, $mo, $d, $h, $mi, $s, $ms) = $line =~ /^(\d+)-(\d+)-(\d+) (\d+):(\d+):(\d+)\.(\d+) UTC/
	  or return 0;
	return timegm($s, $mi, $h, $d, $mo - 1, $y) * 1_000_000 + $ms * 1_000;
}

# The starts of each job.
sub starts_of_jobs
{
	my ($self) = @_;
	my %starts;
	push @{ $starts{ $_->{job} } }, $_ for grep { $_->{what} eq 'start' } @{ $self->{events} };
	return \%starts;
}

# verdict(): for each kind of kill, and "" before the first one, and each scope: starts,
# the most that ran at a time, how often there were more than the limit, and (serial) how
# many starts overtook an older job.
sub verdict
{
	my ($self) = @_;
	my %verdict;
	my $kind = '';

	$self->{starts} = $self->starts_of_jobs;
	$self->{open} = {};
	foreach my $event (@{ $self->{events} })
	{
		my $of;

		$kind = $event->{kind} if $event->{what} eq 'kill';
		$event->{under} = $kind;
		$self->{orphaned} = 1 if $event->{what} eq 'kill' && $kind eq 'server';
		$self->{orphaned} = 0 if $event->{what} eq 'crash';
		$self->leave($event) if $event->{what} =~ /^(?:end|left|crash)$/;
		next unless $event->{what} =~ /^(?:start|over)$/ && $self->{limits}{ $event->{scope} };

		$of = $verdict{$kind}{ $event->{scope} } ||=
		  { starts => 0, most => 0, above => 0, overtaken => 0 };
		if   ($event->{what} eq 'over') { $of->{above}++; }
		else                            { $self->begin($event, $of); }
	}
	$self->judge_order($_, \%verdict) foreach @{ $self->{serial} };
	return \%verdict;
}

# A job starts.
sub begin
{
	my ($self, $event, $of) = @_;
	my $open = $self->{open}{ $event->{scope} } ||= {};
	my $n;

	foreach my $key (keys %$open)
	{
		my $until = $open->{$key}{until};
		delete $open->{$key} if $until && $until <= $event->{at};
	}
	$open->{"$event->{holder} $event->{job}"} = $event;
	$n = keys %$open;
	$of->{starts}++;
	return if $self->{orphaned};
	$of->{most} = max($of->{most}, $n);
	$of->{above}++ if $n > $self->{limits}{ $event->{scope} };
	return;
}

# Jobs run no longer.
sub leave
{
	my ($self, $event) = @_;

	if ($event->{what} eq 'end')
	{
		delete $self->{open}{ $event->{scope} }{"$event->{holder} $event->{job}"};
		return;
	}
	foreach my $open (values %{ $self->{open} })
	{
		foreach my $key (keys %$open)
		{
			my $run = $open->{$key};
			my $is_lease = $run->{holder} =~ /^L/;
			delete $open->{$key}
			  if $event->{what} eq 'left'
			  ? !$is_lease && $run->{pid} == $event->{pid}
			  : !$is_lease || $self->was_lost($run);
		}
	}
	return;
}

# Whether a crash has undone the claim: the job is started again, with the same attempt.
sub was_lost
{
	my ($self, $run) = @_;
	foreach my $start (@{ $self->{starts}{ $run->{job} } })
	{
		return 1
		  if $start->{place} > $run->{place} && $start->{attempt} <= $run->{attempt};
	}
	return 0;
}

# Counts the starts of a scope at which an older job had not been done: it is started
# later. A job may follow an older one in the same transaction, and both be undone.
sub judge_order
{
	my ($self, $scope, $verdict) = @_;
	my $starts = $self->{starts};
	my $last = -1;
	my @older;

	foreach my $job (sort { $a <=> $b } keys %$starts)
	{
		my @of = @{ $starts->{$job} };
		next if $of[0]{scope} ne $scope;
		foreach my $start (@of)
		{
			next if $last < $start->{place};
			$verdict->{ $start->{under} }{$scope}{overtaken}++
			  if grep { is_overtaken($_, $start) } @older;
		}
		$last = max($last, $of[-1]{place});
		push @older, \@of;
	}
	return;
}

# Whether a job with these starts was overtaken by that start of a newer one.
sub is_overtaken
{
	my ($starts, $by) = @_;
	my ($before) = reverse grep { $_->{place} < $by->{place} } @$starts;

	return 0 if $starts->[-1]{place} < $by->{place};
	return !($before && $before->{holder} =~ /^X/ && $before->{holder} eq $by->{holder});
}

# next_starts($kind, $scopes): for each kill of that kind how many microseconds it took
# until a job of a scope started that matches the pattern; and how many of these after
# the server was ready again, if it has crashed. Kills of another scope are left out.
sub next_starts
{
	my ($self, $kind, $scopes) = @_;
	my (@after, @ready);
	my ($kill, $ready);

	foreach my $event (@{ $self->{events} })
	{
		if ($event->{what} eq 'kill')
		{
			my $counts = $event->{scope} eq '-' || $event->{scope} =~ $scopes;
			$kill = $event->{kind} eq $kind && $counts ? $event : undef;
			$ready = undef;
		}
		$ready = $event->{at} if $event->{what} eq 'ready';
		next unless $kill && $event->{what} eq 'start' && $event->{scope} =~ $scopes;
		next if $event->{at} < $kill->{at};
		next if $kill->{scope} eq '-' ? !$ready : $event->{scope} ne $kill->{scope};

		push @after, $event->{at} - $kill->{at};
		push @ready, $event->{at} - $ready if $ready;
		$kill = undef;
	}
	return (\@after, \@ready);
}

# rate($scope, $n, $period): starts under a rate; the most of them in a window of that
# many microseconds, its end excluded; and the number of windows with more than n.
sub rate
{
	my ($self, $scope, $n, $period) = @_;
	my @at = sort { $a <=> $b } map { keys %$_ } values %{ $self->{rates}{$scope} || {} };
	my ($most, $above, $end) = (0, 0, 0);

	foreach my $i (0 .. $#at)
	{
		$end++ while $end < @at && $at[$end] < $at[$i] + $period;
		$most = max($most, $end - $i);
		$above++ if $end - $i > $n;
	}
	return (scalar @at, $most, $above);
}

1;
