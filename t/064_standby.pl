# t/064_standby.pl: a standby runs nothing, and takes over when it is
# promoted.

use strict;
use warnings;

use JobqNode;
use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = jobq_node('primary', streaming => 1);
$primary->create_clock;
$primary->safe_psql(
	'postgres', q{
	CREATE TABLE done (payload jsonb);
	CREATE FUNCTION work(payload jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		INSERT INTO done VALUES (payload);
		IF payload = '"long"' AND (SELECT count(*) FROM pg_settings WHERE name = 'cluster_name'
			AND setting = 'primary') = 1 THEN PERFORM pg_sleep(600); END IF; END$$;
	SELECT jobq.create_queue('work', 'work(jsonb)');
	SELECT jobq.enqueue('work', '"before"');
});
poll_ok($primary, 'SELECT count(*) = 1 FROM done', 'the primary runs jobs');

$primary->backup('backup');
my $standby = JobqNode->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;

$primary->safe_psql('postgres', q{SELECT jobq.enqueue('work', '"long"')});
$primary->safe_psql('postgres', q{SELECT jobq.enqueue('work', '"later"', delay => '1 day')});
$primary->wait_for_catchup($standby);
is( $standby->safe_psql(
		'postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'jobq%'}),
	'0',
	'a standby has no process of jobq');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM jobq_store.job'),
	'2', 'a standby has the jobs');
like(sql_error($standby, q{SELECT jobq.enqueue('work')}), qr/25006/, 'a standby runs no job');
like(sql_error($standby, q{SELECT jobq.stop()}), qr/25006/, 'stop() is refused on a standby');
ok($standby->safe_psql('postgres', 'SELECT count(*) FROM jobq.queues') >= 1,
	'views can be read on a standby');

$primary->stop('immediate');
$standby->promote;
poll_ok(
	$standby,
	q{SELECT count(*) = 1 FROM done WHERE payload = '"long"'},
	'after the promotion the job that was running runs');
$standby->safe_psql('postgres', q{SELECT jobq.enqueue('work', '"new"')});
poll_ok(
	$standby,
	q{SELECT count(*) = 1 FROM done WHERE payload = '"new"'},
	'after the promotion new jobs run');
$standby->advance_clock('2 days');
poll_ok(
	$standby,
	q{SELECT count(*) = 1 FROM done WHERE payload = '"later"'},
	'after the promotion delayed jobs run');

done_testing();
