# t/179_looks_in_turn.pl: the coordinator looks at many queues in parts, in
# which their owners take turns, and it loses no look.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

# The log tells apart the coordinator's transactions.
my $node = jobq_node(
	'main',
	conf => [
		'autovacuum = off',
		'jobq.sweep_interval = 0',
		'jobq.max_workers = 0',
		'jobq.notify_interval = 0',
		"log_line_prefix = '%v '"
	]);
$node->create_clock;
my $page_size = 8192;
my $many = 2000;

$node->sql("CREATE ROLE $_ LOGIN; SELECT jobq.grant_usage('$_', true)") foreach 'mallory', 'bob';

# A listener on the channels of some queues of mallory's.
sub listen_to
{
	my ($names) = @_;
	local $ENV{PGUSER} = 'mallory';
	my $listener = $node->background_psql('postgres');
	$listener->query_safe("SELECT count(jobq.listen(name)) FROM ($names) AS q (name)");
	return $listener;
}

# Whether the listener is notified of that number of queues.
sub notified_ok
{
	my ($listener, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my %seen;
	poll_until(
		sub {
			my $output = $listener->query_safe('SELECT 1');
			$seen{$_} = 1 foreach $output =~ /Asynchronous notification "([^"]+)"/g;
			return keys %seen == $expected;
		});
	is(scalar(keys %seen), $expected, $name);
	return;
}

# Exchanges the beginnings of all pages of the table of jobs.
sub exchange_pages
{
	my (@contents) = @_;
	my $path = $node->data_dir . '/'
	  . $node->sql("CHECKPOINT; SELECT pg_relation_filepath('jobq_store.job')");
	my @before;
	$node->stop;
	open(my $file, '+<:raw', $path) or die "$path: $!\n";
	for my $page (0 .. (-s $path) / $page_size - 1)
	{
		my $content = @contents ? $contents[$page] : "\xff" x 64;
		my $before;
		sysseek($file, $page * $page_size, 0) or die "$path: $!\n";
		sysread($file, $before, 64) == 64 or die "$path: $!\n";
		push @before, $before;
		sysseek($file, $page * $page_size, 0) or die "$path: $!\n";
		syswrite($file, $content) == 64 or die "$path: $!\n";
	}
	close($file) or die "$path: $!\n";
	$node->start;
	return @before;
}

# ----------------------------------------------- the order, and the parts

as_role(
	$node, 'mallory', qq{
	SELECT count(jobq.create_queue('m' || i)) FROM generate_series(1, $many) AS i;
	SELECT count(jobq.enqueue('m' || i, delay => '1 h')) FROM generate_series(1, $many) AS i});
as_role(
	$node, 'bob', q{
	SELECT jobq.create_queue('single');
	SELECT jobq.enqueue('single', delay => '1 h')});

# No look finds a row that it can read, so the log has a line for each.
my $from = log_position($node);
my @contents = exchange_pages();
my @looks;
poll_until(
	sub {
		@looks = log_since($node, $from) =~
		  /^(\S+) WARNING:  could not look for ready jobs of queue "([^"]+)"/mg;
		return @looks >= 2 * ($many + 1);
	});
my (%transactions, %queues, $turn);
for (my $i = 0; $i < @looks; $i += 2)
{
	$transactions{ $looks[$i] } = 1;
	$queues{ $looks[ $i + 1 ] }++;
	$turn //= $i / 2 if $looks[ $i + 1 ] eq 'single';
}
is(scalar(keys %queues), $many + 1, 'all queues are looked at after an error');
cmp_ok($turn, '<=', 1, q{a role's single queue comes before the many of another role});
cmp_ok(scalar(keys %transactions), '>', 1, 'looks at many queues are made in parts');
exchange_pages(@contents);

# ------------------------------------------------------ no look is lost

my $listener = listen_to("SELECT 'm' || generate_series(1, $many)");
$node->advance_clock('2 h');
notified_ok($listener, $many, 'all queues are looked at when their jobs are due');
my $flip = join(';',
	map { "SELECT count(jobq.$_('m' || i)) FROM generate_series(1, $many) AS i" } 'pause',
	'resume');
as_role($node, 'mallory', "BEGIN; $flip; COMMIT") foreach 1 .. 3;
notified_ok($listener, $many, 'all queues are looked at when they are resumed');
$listener->quit;

# ------------------------------------- looks that are too long for one part

as_role(
	$node, 'mallory', q{
	SELECT jobq.create_queue('long'), jobq.create_queue('held');
	SELECT count(jobq.enqueue('long', priority => i, delay => '1 year'))
		FROM generate_series(-15000, 15000) AS i;
	SELECT jobq.enqueue('long', priority => 20000, delay => '1 h');
	SELECT count(jobq.enqueue('held')) FROM generate_series(1, 30000)});
$listener = listen_to("SELECT 'long'");
$node->advance_clock('2 h');
notified_ok($listener, 1, 'the last of very many priorities is looked at');
$listener->quit;

$listener = listen_to("SELECT 'held'");
my $holder = $node->background_psql('postgres');
$holder->query_safe(
	q{BEGIN; SELECT count(*) FROM generate_series(1, 3), jobq.dequeue('held', 10000)});
as_role($node, 'mallory', q{SELECT jobq.enqueue('held', delay => '1 h')});
$node->advance_clock('2 h');
notified_ok($listener, 1, 'a job behind very many that are held is found');
$holder->query_safe('ROLLBACK');
$holder->quit;
$listener->quit;

$node->stop;
done_testing();
