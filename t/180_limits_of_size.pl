# t/180_limits_of_size.pl: the coordinator copies the values of schedules and
# jobs, so tags, headers and schedules as a whole have a limit of size.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => ['log_statement = none']);

$node->sql(
	q{
	SELECT jobq.create_queue('q');
	CREATE FUNCTION tags(n int, length int) RETURNS text[] LANGUAGE sql AS
		$$ SELECT array_agg(repeat('x', length)) FROM generate_series(1, n) $$;
	CREATE FUNCTION object(length int) RETURNS jsonb LANGUAGE sql AS
		$$ SELECT jsonb_build_object('a', repeat('x', length)) $$}
);

# refused($call, $sqlstate, $message, $detail): a call fails in this way.
sub refused
{
	my ($call, $sqlstate, $message, $detail) = @_;
	my $error = sql_error($node, "SELECT $call");

	like($error, qr/ERROR:  $sqlstate: $message\nDETAIL:  $detail\nHINT: /, $call);
}

# ------------------------------------------------------------------------ jobs

my @producers =
  ("jobq.enqueue('q', '{}', ", "jobq.enqueue_many('q', '{\"{}\"}', ", "jobq.run('SELECT 1', ");
foreach my $call (@producers)
{
	refused(
		"${call}tags => '{a}' || tags(1, 256))",
		'22023',
		'tag 2 is too long',
		'It has 256 bytes; at most 255 are allowed\.');
	refused(
		"${call}headers => object(1024 * 1024))",
		'54000',
		'headers are too large',
		'They have 1\d{6} bytes; at most 1048576 are allowed\.');
}
is($node->sql('SELECT count(*) FROM jobq.jobs'), '0', 'jobs: nothing is enqueued');
$node->sql("SELECT ${_}tags => tags(100, 255), headers => object(1000000))") foreach @producers;
is( $node->sql(
		q{SELECT count(*) FROM jobq.jobs WHERE tags = tags(100, 255) AND headers = object(1000000)}
	),
	'3',
	'jobs: the longest');

# ------------------------------------------------------------------- schedules

my $create = "jobq.schedule('s', '\@yearly', ";
my $alter = "jobq.alter_schedule('t', ";
my $too_large = 'payload, command and tags of a schedule are too large';
my $together = 'Together they have 1\d{6} bytes; at most 1048576 are allowed\.';

$node->sql(
	q{SELECT jobq.schedule('t', '@yearly', queue => 'q', payload => object(1030000));
	SELECT jobq.schedule('u', '@yearly', command => 'SELECT 1 -- ' || repeat('x', 1030000))});
refused($_ . "tags => tags(1, 256))", '22023', 'tag 1 is too long', '.*') foreach $create, $alter;
foreach my $call (
	"${create}queue => 'q', payload => object(1024 * 1024))",
	"${create}queue => 'q', payload => object(1030000), tags => tags(100, 255))",
	"${create}command => 'SELECT 1 -- ' || repeat('x', 1030000), tags => tags(100, 255))",
	"${create}command => 'SELECT 1 -- ' || repeat('x', 600000), payload => object(600000))",
	"${alter}payload => object(1024 * 1024))",
	"${alter}tags => tags(100, 255))",
	"${alter}command => 'SELECT 1 -- ' || repeat('x', 600000))",
	"jobq.alter_schedule('u', tags => tags(100, 255))")
{
	refused($call, '54000', $too_large, $together);
}
is( $node->sql(
		q{SELECT string_agg(name, ' ' ORDER BY name), count(tags), 
				count(*) FILTER (WHERE name = 't' AND payload = object(1030000))
			FROM jobq.schedules}),
	't u|0|1',
	'schedules: nothing is changed');

# One that is too large already may be changed otherwise, and made smaller.
$node->sql(
	q{UPDATE jobq_store.schedule SET tags = tags(100, 255) WHERE name = 't';
	SELECT jobq.alter_schedule('t', enabled => false);
	SELECT jobq.alter_schedule('t', payload => object(1000000));
	SELECT jobq.reset_schedule('t', 'tags')});
is($node->sql(q{SELECT enabled, tags FROM jobq.schedules WHERE name = 't'}),
	'f|', 'a schedule that is too large is made smaller');

$node->stop;
done_testing();
