# t/084_scarce.pl: a server that is short of something: worker slots, shared
# memory, disk space, connections. It works as far as it can, the log is not
# flooded, and when there is enough again everything works as usual.
#
# t/011 has a server with one worker slot too few, and who shares what.

use strict;
use warnings;

use File::Temp qw(tempdir);

# A disk of its own that can be filled takes a mount, and that a user
# namespace: the test starts again in one, if it can. The user there is made
# the one outside again, since PostgreSQL does not run as root. In BEGIN,
# while the output still goes where it belongs.
BEGIN
{
	my @enter = qw(unshare --user --map-root-user --mount --propagation private sh -c);
	my $disk =
	  $ENV{JOBQ_SMALL_DISK}
	  ? ''
	  : tempdir('jobq_disk_XXXXXX', TMPDIR => 1, CLEANUP => 0);
	my $script =
		"mount -t tmpfs -o size=48m,mode=700 none $disk"
	  . " && exec unshare --user --map-user=$> --map-group="
	  . ($) + 0) . ' "$@"';

	# not where only the syntax is checked
	if ($disk && !$^C && system(@enter, "{ $script; } 2>/dev/null", 'sh', 'true') == 0)
	{
		$ENV{JOBQ_SMALL_DISK} = $disk;
		exec(@enter, $script, 'sh', $^X, (map { "-I$_" } @INC), $0);
	}
	rmdir($disk) if $disk;
}

use JobqLoad;
use JobqSession;
use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $disk = $ENV{JOBQ_SMALL_DISK};
my $node = jobq_node(
	'main',
	start => 0,
	conf => [
		'jobq.max_workers = 3',
		'log_statement = none',
		'fsync = off',
		'max_worker_processes = 2',
		'max_connections = 12',
		'superuser_reserved_connections = 3',
		'jobq.shared_memory = 1MB',
		'autovacuum = off'
	]);

# ------------------------------------------------------------ worker slots

# Logical replication's launcher has one, jobq's the other.
my $position = log_position($node);
$node->start;
create_extension($node);
load_set_up($node);
load_place($node, 'load_h', 20);
load_place($node, 'load_d', 20);
poll_until(sub { log_since($node, $position) =~ /found no free background worker slot/ })
  or die "nobody looks for a slot\n";
is($node->sql(q{SELECT count(load.finish(id, lease)) FROM jobq.dequeue('load_d', 10)}),
	'10', 'no worker slot: external workers work');
is( $node->sql(
		q{INSERT INTO load.placed SELECT jobq.enqueue('load_t') RETURNING 1;
	INSERT INTO load.effects SELECT id FROM jobq.take('load_t') RETURNING 1;}),
	"1\n1",
	'no worker slot: take() works');
is( $node->sql(
		q{SELECT count(*) FROM jobq_store.job AS j JOIN jobq_store.queue AS q ON q.id = j.queue
	WHERE q.name = 'load_h'}),
	'20',
	'no worker slot: SQL jobs wait');
within(
	20,
	'no worker slot: stop() does not wait forever',
	sub { $node->sql('SELECT jobq.stop(); SELECT jobq.start()'); 1 });
quiet_log_ok($node, $position, 3, 'no worker slot');

$node->append_conf('postgresql.conf', 'max_worker_processes = 16');
$node->restart;
load_account_ok($node, 'worker slots again');

# ----------------------------------------------------------- shared memory

# More queues and leases than there is room for: some 2500 and 12700.
$position = log_position($node);
$node->sql(
	q{SELECT jobq.create_queue('many_' || i, CASE WHEN i % 2 = 0
		THEN 'load.effect(jobq.job)'::regprocedure END,
	lease => '2 s', backoff_base => '1 ms') FROM generate_series(1, 2800) AS i});
$node->sql(
	q{INSERT INTO load.placed SELECT jobq.enqueue('many_' || 2 * i)
		FROM generate_series(1, 1400, 4) AS i}
);
$node->sql(
	q{
	SELECT jobq.create_queue('leases', lease => '1 h', backoff_base => '1 ms');
	SELECT count(*) FROM jobq.enqueue_many('leases', array_fill('1'::jsonb, '{14000}'));
	SELECT count(*) FROM jobq.dequeue('leases', 7000);
	SELECT count(*) FROM jobq.dequeue('leases', 7000)});
my $load = load_start($node);
load_goes_on_ok($node, 'shared memory is full');
load_stop($load);
poll_ok(
	$node, q{SELECT count(*) = 0 FROM jobq_store.job AS j JOIN jobq_store.queue AS q
	ON q.id = j.queue WHERE q.name LIKE 'many%'}, 'shared memory is full: jobs of all queues run');
load_account_ok($node, 'shared memory is full');

# leases beyond the registry end, too
$node->sql(
	q{UPDATE jobq_store.job SET lease_until = now() + interval '1 s'
	WHERE queue = (SELECT id FROM jobq_store.queue WHERE name = 'leases')});
$node->restart;
poll_ok(
	$node, q{SELECT count(*) = 14000 FROM jobq_store.job AS j JOIN jobq_store.queue AS q
	ON q.id = j.queue WHERE q.name = 'leases' AND j.state = 0 AND j.attempt = 1},
	'shared memory is full: each lease ends');
quiet_log_ok($node, $position, 20, 'shared memory is full');
$node->sql(q{SELECT count(jobq.delete(id)) FROM jobq.jobs WHERE queue = 'leases'});

# ------------------------------------------------------- connection storms

# Applications use up all connections, and keep knocking.
$position = log_position($node);
$node->sql('CREATE ROLE app LOGIN');
my $knock = "while [ ! -e \$0 ]; do pgbench -n -C -c 4 -t 5 -f \$1 -U app postgres; done";
my $dir = PostgreSQL::Test::Utils::tempdir();
append_to_file("$dir/sql", 'SELECT pg_sleep(0.02);');
my @storm;
my $out = '';
{
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	push @storm,
	  IPC::Run::start([ 'sh', '-c', $knock, "$dir/stop", "$dir/sql" ], '<', \undef, '>&', \$out)
	  foreach 1 .. 4;
}
my $from = log_position($node);
ok(poll_until(sub { log_since($node, $from) =~ /remaining connection slots|too many clients/ }),
	'connections are used up');
load_place($node, 'load_h', 200);
load_runs_ok($node, 'no connections left');
poll_ok($node, q{SELECT count(*) = 0 FROM jobq_store.job}, 'no connections left: jobs run');
append_to_file("$dir/stop", "stop\n");
$_->finish foreach @storm;
load_account_ok($node, 'no connections left');
quiet_log_ok($node, $position, 5, 'no connections left');
$node->stop;

# -------------------------------------------------------------- disk space

SKIP:
{
	skip 'no disk of its own is available (user namespaces)', 1
	  if !defined $disk;

	# All of the server is on it, its WAL as well.
	$node = jobq_node(
		'small',
		start => 0,
		initdb => ['--wal-segsize=1'],
		conf => [
			'jobq.max_workers = 3',
			'log_statement = none',
			'fsync = off',
			'max_wal_size = 4MB',
			'min_wal_size = 2MB',
			'wal_recycle = on',
			'autovacuum_naptime = 1s'
		]);
	my $data = $node->data_dir;
	system('cp', '-a', $data, "$disk/data") == 0
	  && rename($data, "$data.old")
	  && symlink("$disk/data", $data)
	  or die "cannot move the data directory: $!\n";
	$node->start;
	create_extension($node);
	load_set_up($node);

	$load = load_start($node);
	load_goes_on_ok($node, 'disk');
	foreach my $left (600, 0)
	{
		$position = log_position($node);
		# connecting may need room
		my $filler = start_session($node);
		ask($filler, 'SELECT 1');
		fill_disk("$disk/ballast", $left);
		ok(poll_until(sub { log_since($node, $position) =~ /No space left on device/ }),
			"disk full, $left kB left: an error was logged");
		load_place_in_vain($node) foreach 1 .. 20;
		if ($left == 0)
		{
			# no table needs room for this, but WAL does
			order(
				$filler, q{SELECT pg_logical_emit_message(false, 'fill',
				repeat('x', 500000)) FROM generate_series(1, 60)});
			ok(poll_until(sub { log_since($node, $position) =~ /PANIC/ }),
				'the server cannot go on without its WAL');
		}
		$filler->{run}->kill_kill;
		unlink("$disk/ballast");
		# it may have gone down: without its WAL it cannot go on
		if (log_since($node, $position) =~ /PANIC/)
		{
			note('the server went down');
			poll_until(
				sub {
					$node->psql('postgres', 'SELECT 1') == 0
					  || restart_if_dead($node);
				}) or die "the server does not come back\n";
		}
		load_runs_ok($node, "disk full, $left kB left");
		load_goes_on_ok($node, "disk full, $left kB left");
		quiet_log_ok($node, $position, 60, "disk full, $left kB left");
	}
	load_stop($load);
	load_account_ok($node, 'the disk was full');
	$node->stop;
}

# Leaves this many kB free.
sub fill_disk
{
	my ($file, $left) = @_;
	my $block = 'x' x 4096;
	open(my $fh, '>', $file) or die "$file: $!";
	while (syswrite($fh, $block)) { }
	truncate($fh, (-s $file) - $left * 1024) or die "$file: $!"
	  if -s $file > $left * 1024;
	close($fh);
	return;
}

sub load_place_in_vain
{
	my ($in) = @_;
	$in->psql(
		'postgres',
		q{INSERT INTO load.placed SELECT jobq.enqueue('load_h', to_jsonb(repeat('x', 1000)))
		  FROM generate_series(1, 100)});
	return;
}

# The postmaster gives up when recovery fails.
sub restart_if_dead
{
	my ($in) = @_;
	return 0 if -e $in->data_dir . '/postmaster.pid' && kill(0, $in->{_pid} // 0);
	$in->{_pid} = undef;
	return $in->start(fail_ok => 1);
}

done_testing();
