# From the commit of a job to who works it.

package JobqBench::Scenario::Wake;

use strict;
use warnings;

use JobqBench::Queue    qw(reset_queue database bench_dir);
use JobqBench::Report   qw(goal percentile);
use JobqBench::Scenario qw(scenario skip);
use JobqBench::Server   qw(sql psql output scratch_file);

my $payload = q('{"to":"user@example.com","n":12345}');
my $rawq_claim = <<'SQL';
WITH c AS (UPDATE job SET state = 1, attempts = attempts + 1, locked_at = now()
  WHERE id = ANY(ARRAY(SELECT id FROM job
    WHERE queue = 'q' AND state = 0 AND run_at <= now()
    ORDER BY priority, run_at, id LIMIT 1 FOR UPDATE SKIP LOCKED))
  RETURNING id, payload) SELECT * FROM c
SQL
my $raw_claim = <<'SQL';
DELETE FROM job WHERE ctid = ANY(ARRAY(SELECT ctid FROM job ORDER BY id LIMIT 1
  FOR UPDATE SKIP LOCKED)) RETURNING id, payload
SQL

# Clients that wait, as arguments of wake.c. "got" counts the time until the
# client has the job, else it is until it is awake.
my @clients = (
	{
		system => 'jobq wait + dequeue',
		queue => 'jobq',
		enqueue => "SELECT jobq.enqueue('q', $payload)",
		wait => "CALL jobq.wait('{q}', '20 s')",
		claim => "SELECT * FROM jobq.dequeue('q', lease => '1 h')",
		got => 1,
		goals => [ goal('<=', 0.4), goal('<=', 1.5) ]
	},
	{
		system => 'jobq NOTIFY',
		queue => 'jobq',
		listen => "SELECT jobq.listen('q')",
		enqueue => "SELECT jobq.enqueue('q', $payload)",
		claim => "SELECT * FROM jobq.dequeue('q', lease => '1 h')",
		goals => [ goal('<=', 1), goal('<=', 3) ]
	},
	{
		system => 'rawq LISTEN + claim',
		queue => 'rawq',
		listen => 'LISTEN jobs',
		enqueue => "INSERT INTO job(payload) VALUES ($payload); NOTIFY jobs",
		claim => $rawq_claim,
		got => 1
	},
	{
		system => 'raw LISTEN',
		queue => 'raw',
		listen => 'LISTEN jobs',
		enqueue => "INSERT INTO job(payload) VALUES ($payload); NOTIFY jobs",
		claim => $raw_claim
	});

# How to compile with libpq. The first pg_config there is may belong to a copy
# of PostgreSQL without headers.
sub libpq_flags
{
	foreach my $program ($ENV{PG_CONFIG} // (), map { "$_/pg_config" } split(/:/, $ENV{PATH}))
	{
		next unless -x $program;
		my ($include, $lib) =
		  split(/\n/, output(undef, $program, '--includedir', '--libdir'));
		return ("-I$include", "-L$lib", '-lpq') if -e "$include/libpq-fe.h";
	}
	skip('no headers of libpq');
}

# The path of wake.c's program.
sub compile
{
	my $program = scratch_file('wake');
	my @command = (
		$ENV{CC} // 'cc',
		qw(-O2 -Wall -Wextra -pthread),
		'-o', $program, bench_dir() . '/wake.c',
		libpq_flags());
	eval { output(undef, @command) };
	skip("wake.c cannot be compiled: $@") if $@;
	return $program;
}

# (median, 99th percentile) of one client's wake-ups, in milliseconds
sub wake_client
{
	my ($program, $client, $jobs) = @_;
	reset_queue($client->{queue});
	local $ENV{PGDATABASE} = database($client->{queue});
	my @lines = split(
		/\n/,
		output(
			undef, $program,
			$jobs + 10, map { $client->{$_} // '' } qw(listen enqueue wait claim)));
	splice(@lines, 0, 10);
	my @ms = map { (split)[ $client->{got} ? 1 : 0 ] } @lines;
	return (percentile(0.5, @ms), percentile(0.99, @ms));
}

# The same of handlers in executors, as bench/latency measures it.
sub wake_executor
{
	my ($size) = @_;
	my $latency = bench_dir() . '/latency';
	my $text;
	if ($size->{own_server})
	{
		$text = output(undef, "$latency/run", $size->{wake_jobs}, $size->{cold_jobs});
	}
	else
	{
		sql(database('jobq'), 'DROP EXTENSION IF EXISTS jobq CASCADE');
		$text = psql(
			database('jobq_2'), '-v', "warm=$size->{wake_jobs}", '-v',
			"cold=$size->{cold_jobs}", '-f', "$latency/latency.sql");
	}
	my ($p50, $p99) =
	  $text =~ /^executor running .*: median ([\d.]+) ms, 99th percentile ([\d.]+) ms/m;
	die "cannot read what bench/latency says:\n$text\n" unless defined $p99;
	return ($p50, $p99);
}

scenario(
	title => 'wake-up: from the commit of a job to its worker',
	run => sub {
		my ($size) = @_;
		my $program = compile();
		my @workers = (
			{
				system => 'jobq executor',
				goals => [ goal('<=', 0.15), goal('<=', 1.0) ]
			},
			map {
				{ %$_ }
			} @clients);
		foreach my $round (1 .. $size->{rounds})
		{
			foreach my $worker (@workers)
			{
				my @times =
				  $worker->{queue}
				  ? wake_client($program, $worker, $size->{wake_jobs})
				  : wake_executor($size);
				push @{ $worker->{times}[$_] }, $times[$_] foreach (0, 1);
			}
		}
		my @rows;
		foreach my $i (0, 1)
		{
			push @rows, map {
				{
					measure => ('median', '99th percentile')[$i],
					system => $_->{system},
					clients => 1,
					unit => 'ms',
					values => $_->{times}[$i],
					goal => $_->{goals}[$i]
				}
			} @workers;
		}
		return @rows;
	});
