# t/095_bench.pl: the benchmark still works: every scenario runs, with very
# few jobs, prints what it has measured, and leaves nothing behind. The
# numbers mean nothing. Likewise bench/compare.

use strict;
use warnings;

use IPC::Run ();
use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $run = source_dir() . '/bench/run';
my $output = PostgreSQL::Test::Utils::tempdir();

my $node =
  jobq_node('main', conf => [ 'track_commit_timestamp = on', 'jobq.worker_idle_timeout = 1s' ]);
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;

my @scenarios = map { (split(/\t/))[0] }
  grep { !m{bench/\w+/run$} } split(/\n/, `$run --list`);
cmp_ok(scalar(@scenarios), '>=', 12, 'there are scenarios');

my ($out, $err);
ok(IPC::Run::run([ $run, '--check', '--here', '--output', $output ], '>', \$out, '2>', \$err),
	'all scenarios run')
  or diag("$out$err");
is($err, '', 'bench/run prints nothing on stderr');

my %rows;
my @columns;
foreach my $line (split(/\n/, slurp_file("$output/results.tsv")))
{
	next if $line =~ /^#/;
	my @values = split(/\t/, $line, -1);
	if (!@columns)
	{
		@columns = @values;
		next;
	}
	my %row;
	@row{@columns} = @values;
	push @{ $rows{ $row{scenario} } }, \%row;
	my $what = "$row{scenario}: $row{measure}, $row{system}";
	like($row{median}, qr/^\d+(\.\d+)?(e-?\d+)?$/, "$what has a value");
}
foreach my $name (@scenarios)
{
	my ($skipped) = $out =~ /^\Q$name\E: .*\n  skipped: (.*)/m;
  SKIP:
	{
		skip("$name: $skipped", 1) if defined $skipped;
		ok($rows{$name}, "$name has rows");
	}
}
my ($hot) =
  grep { $_->{measure} eq 'HOT updates' && $_->{system} =~ /^jobq/ } @{ $rows{wal} || [] };
is($hot && $hot->{median}, 1, 'claims are HOT updates');

# ---------------------------------------------------------------- bench/compare

my $compare = source_dir() . '/bench/compare';
my $other = jobq_node('other', conf => ['jobq.worker_idle_timeout = 1s']);

ok( IPC::Run::run(
		[ $compare, '--check', '--here', $node->port, $other->port ],
		'>', \$out, '2>', \$err),
	'two servers are compared') or diag("$out$err");
is($err, '', 'bench/compare prints nothing on stderr');
like($out, qr/^$_ +\d+ +\d+ +[\d.]+  [\d.]+ \.\. [\d.]+$/m, "$_ is compared")
  foreach qw(enqueue consume_100 next executors);

foreach my $case (
	[ 'no arguments' => [], qr/^usage: / ],
	[ 'one tree' => [ source_dir() ], qr/^usage: / ],
	[ 'no pairs' => [ '--pairs', '0', source_dir(), source_dir() ], qr/^usage: / ],
	[ 'a directory without a tree' => [ source_dir(), $output ], qr/is not a source tree/ ],
	[ 'an unknown name' => [ source_dir(), source_dir(), 'sleep' ], qr/there is no sleep/ ],
	[ 'a host as a port' => [ '--here', 'here', 'there' ], qr/here is not a port/ ])
{
	my ($name, $arguments, $says) = @$case;
	ok( !IPC::Run::run([ $compare, @$arguments ], '>', \$out, '2>', \$err)
		  && $out eq ''
		  && $err =~ $says,
		"bench/compare refuses $name") or diag("$out$err");
}
ok(IPC::Run::run([ $compare, '--help' ], '>', \$out) && $out =~ /^usage: /m,
	'bench/compare has a help');

# ------------------------------------------------------------- nothing is left

foreach my $server ($node, $other)
{
	is($server->sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'bench%'"),
		'0', $server->name . ': no database is left');
	is( $server->sql(
			q{SELECT string_agg(name, ' ') FROM pg_file_settings
			WHERE sourcefile LIKE '%auto.conf'}
		),
		'',
		$server->name . ': no setting is left');
}

done_testing();
