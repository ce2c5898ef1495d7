# t/170_opened_databases.pl: a database that was closed, or a template, has its
# workers again when it is opened.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node =
  jobq_node('main', conf => [ 'log_min_messages = fatal', 'max_prepared_transactions = 1' ]);

# Throws everybody out of a database, which does not let them in again.
sub close_database
{
	my ($db, $how) = @_;
	$node->sql("ALTER DATABASE $db $how");
	$node->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '$db'");
	poll_ok(
		$node,
		qq{SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = '$db'},
		"$how: nobody is in the database");
	return;
}

sub runs_ok
{
	my ($db, $name) = @_;
	my $id = $node->sql("SELECT jobq.run('SELECT 1')", $db);
	poll_ok($node, "SELECT state = 'completed' FROM jobq.jobs WHERE id = $id", $name, db => $db);
	return;
}

$node->sql('CREATE DATABASE shop');
create_extension($node, 'shop');
runs_ok('shop', 'jobs run');

close_database('shop', 'ALLOW_CONNECTIONS false');
$node->sql('ALTER DATABASE shop ALLOW_CONNECTIONS true');
runs_ok('shop', 'jobs run when connections are allowed again');

close_database('shop', 'IS_TEMPLATE true');
$node->sql('ALTER DATABASE shop IS_TEMPLATE false');
runs_ok('shop', 'jobs run when the database is no template any more');

# renamed and copied while it is closed: the command ends the workers
$node->sql('ALTER DATABASE shop ALLOW_CONNECTIONS false');
$node->sql('ALTER DATABASE shop RENAME TO store');
$node->sql('CREATE DATABASE copy TEMPLATE store');
$node->sql('ALTER DATABASE store ALLOW_CONNECTIONS true');
runs_ok('store', 'jobs run in a database that was renamed and copied while it was closed');

# opened by hand, and by a prepared transaction, of which no command tells: the
# launcher notices that in half a minute
$node->sql('CREATE DATABASE other');
create_extension($node, 'other');
runs_ok('other', 'jobs run in another database');
close_database($_, 'ALLOW_CONNECTIONS false') foreach 'store', 'other';
$node->sql(q{UPDATE pg_database SET datallowconn = true WHERE datname = 'store'});
$node->sql(q{BEGIN; ALTER DATABASE other ALLOW_CONNECTIONS true; PREPARE TRANSACTION 'open'});
$node->sql(q{COMMIT PREPARED 'open'});
runs_ok('store', 'jobs run when the database is opened by an UPDATE');
runs_ok('other', 'jobs run when the database is opened by a prepared transaction');

done_testing();
