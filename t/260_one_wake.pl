# t/260_one_wake.pl: who waits for jobs is woken for each of them, and for nothing
# else.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main',
	conf => [ 'jobq.max_workers = 0', 'jobq.notify_interval = 0', 'jobq.sweep_interval = 0' ]);

# Reads from a session until that channel was notified; returns all channels.
sub channels
{
	my ($session, $last) = @_;
	my $all = '';
	poll_until(
		sub {
			$all .= $session->query_safe('SELECT 1');
			return $all =~ /Asynchronous notification "$last"/;
		});
	return join(' ', $all =~ /Asynchronous notification "([^"]+)"/g);
}

# ----------------------------------------------------------------- new queues

$node->sql(q{SELECT jobq.create_queue(q) FROM unnest('{new,other}'::text[]) AS q});
my $listener = $node->background_psql('postgres');
$listener->query_safe(q{SELECT jobq.listen(q) FROM unnest('{new,other}'::text[]) AS q});
$node->sql(q{SELECT jobq.enqueue('new')});
is(channels($listener, 'jobq.new'), 'jobq.new', 'a listener is notified of a job');
$node->sql(q{SELECT jobq.enqueue('other', delay => '100 ms')});
is(channels($listener, 'jobq.other'),
	'jobq.other', 'no listener is notified again when the coordinator looks at queues');
$listener->quit;

$node->stop;
done_testing();
