# t/296_start_in_a_transaction.pl: start() that is not committed is in nobody's way, where
# nothing is a copy.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => ['max_prepared_transactions = 1']);

$node->sql(
	q{CREATE TABLE ticks (at timestamptz);
	SELECT jobq.start(), jobq.schedule('tick', '* * * * * *', 'INSERT INTO ticks VALUES (now())')});
poll_ok($node, 'SELECT count(*) > 0 FROM ticks', 'the schedule fires');

my $starter = start_session($node, name => 'starter');
unlike(ask($starter, 'BEGIN; SELECT jobq.start()'), qr/ERROR/, 'start() in a transaction');
$node->sql('TRUNCATE ticks');
poll_ok($node, 'SELECT count(*) > 2 FROM ticks', 'schedules fire meanwhile');
$node->sql(q{SET lock_timeout = '10s'; SELECT jobq.create_queue('q')});
pass('a queue is created meanwhile');
unlike(ask($starter, q{PREPARE TRANSACTION 'start'}), qr/ERROR/, 'it is prepared');
$node->sql('TRUNCATE ticks');
poll_ok($node, 'SELECT count(*) > 2 FROM ticks', 'schedules fire while it stays prepared');
$node->sql(q{SET lock_timeout = '10s'; SELECT jobq.alter_queue('q', description => 'x')});
pass('a queue is changed while it stays prepared');
$node->sql(q{COMMIT PREPARED 'start'});
end_session($starter);

done_testing();
