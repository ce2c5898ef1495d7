# t/096_clients.pl: the worker in Python of examples/worker, and what
# docs/drivers.md says about pgbouncer in transaction mode. Skipped if psycopg2 or
# pgbouncer is missing.

use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use JobqTest;

my $python = '/usr/bin/python3';    # the one that Debian's modules are for

# connection($node): environment variables for libpq
sub connection
{
	my ($node) = @_;
	return (PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => 'postgres');
}

# Works, reports failures, keeps its lease, is woken, and ends when told to.
sub test_python
{
	my ($node) = @_;
	my ($out, $err) = ('', '');
	local %ENV = (%ENV, connection($node));

	plan skip_all => 'psycopg2 is not installed'
	  if system("$python -c 'import psycopg2' 2>/dev/null") != 0;

	$node->safe_psql(
		'postgres', q{
		SELECT jobq.create_queue('words', lease => '3 s', max_attempts => 1);
		SELECT jobq.enqueue('words', '{"text": "one two three"}');
		SELECT jobq.enqueue('words', '{"no": "text"}');
		SELECT jobq.enqueue('words', '{"text": "long work", "seconds": 5}');
	});
	my $worker = IPC::Run::start([ $python, source_dir() . '/examples/worker/worker.py', 'words' ],
		'>', \$out, '2>', \$err);

	poll_ok(
		$node,
		q{SELECT result->>'words' = '3' FROM jobq.jobs WHERE id = 1},
		'a job is completed with its result');
	poll_ok(
		$node,
		q{SELECT state = 'dead' AND error LIKE '%KeyError%' FROM jobq.jobs WHERE id = 2},
		'an error of the work fails the job');
	poll_ok(
		$node,
		q{SELECT result->>'words' = '2' AND attempt = 1 FROM jobq.jobs WHERE id = 3},
		'work that takes longer than the lease keeps it');
	$node->safe_psql('postgres', q{SELECT jobq.enqueue('words', '{"text": ""}')});
	poll_ok(
		$node,
		q{SELECT result->>'words' = '0' FROM jobq.jobs WHERE id = 4},
		'an idle worker is woken',
		seconds => 30);
	$worker->signal('TERM');
	ok($worker->finish, 'SIGTERM ends the worker with status 0') or diag($err);
	return;
}

# start_pgbouncer($node): a pooler before the server; returns it and its socket.
sub start_pgbouncer
{
	my ($node, $program) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir_short();
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my ($out, $err) = ('', '');
	my $user = $node->safe_psql('postgres', 'SELECT current_user');

	append_to_file("$dir/pgbouncer.ini", <<~END);
		[databases]
		postgres = host=@{[$node->host]} port=@{[$node->port]} user=$user
		[pgbouncer]
		listen_port = $port
		listen_addr =
		unix_socket_dir = $dir
		auth_type = any
		pool_mode = transaction
		default_pool_size = 2
		END
	my $pooler = IPC::Run::start([ $program, "$dir/pgbouncer.ini" ], '>', \$out, '2>', \$err);
	poll_until(sub { -e "$dir/.s.PGSQL.$port" }) or die "no pgbouncer: $err";
	return ($pooler, "host=$dir port=$port dbname=postgres");
}

# What belongs to no session works through a pool of them.
sub test_pgbouncer
{
	my ($node) = @_;
	my ($program) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin';

	plan skip_all => 'pgbouncer is not installed' unless $program;
	my ($pooler, $conninfo) = start_pgbouncer($node, $program);
	my $query = sub {
		my ($out, $err) = ('', '');
		IPC::Run::run([ 'psql', '-XqAtd', $conninfo, '-c', $_[0] ], '>', \$out, '2>', \$err);
		chomp $out;
		return $err eq '' ? $out : $err;
	};

	$node->safe_psql('postgres', q{SELECT jobq.create_queue('pooled')});
	is($query->(q{SELECT jobq.enqueue('pooled') > 0}), 't', 'enqueue through the pool');
	is($query->(q{CALL jobq.wait('{pooled}', '10 s')}), 't', 'wait through the pool');
	my ($id, $lease) = split(/\|/, $query->(q{SELECT id, lease FROM jobq.dequeue('pooled')}));
	is($query->("SELECT jobq.complete($id, $lease)"), '', 'a claim belongs to no session');
	is($query->("SELECT state FROM jobq.jobs WHERE id = $id"), 'completed', 'the job is completed');
	is($query->(q{SELECT jobq.listen('pooled')}),
		'', 'listen succeeds through a pooler, without effect');
	$pooler->signal('INT');
	$pooler->finish;
	return;
}

my $node = jobq_node('clients');

subtest 'worker in Python' => sub { test_python($node) };
subtest 'pgbouncer in transaction mode' => sub { test_pgbouncer($node) };

$node->stop;
done_testing();
