# t/166_one_bad_row.pl: a row that cannot be read, moved or written keeps no
# task of the coordinator from doing its work on the other rows.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node(
	'main',
	conf => [
		'autovacuum = off',
		'jobq.sweep_interval = 0',
		'jobq.max_workers = 4',
		'enable_seqscan = off'
	]);
$node->create_clock;
my $page_size = 8192;

# Overwrites the beginning of a page of a table, and returns what was there; or
# writes that back. The server is down meanwhile.
sub write_page
{
	my ($table, $page, $content) = @_;
	my $path = $node->data_dir . '/' . $node->sql("SELECT pg_relation_filepath('$table')");
	my $before = '';
	$node->stop;
	open(my $file, '+<:raw', $path) or die "$path: $!\n";
	sysseek($file, $page * $page_size, 0) or die "$path: $!\n";
	sysread($file, $before, 64) == 64 or die "$path: $!\n";
	sysseek($file, $page * $page_size, 0) or die "$path: $!\n";
	syswrite($file, $content) == 64 or die "$path: $!\n";
	close($file) or die "$path: $!\n";
	$node->start;
	return $before;
}

sub break_page
{
	my ($table, $page) = @_;
	return write_page($table, $page, "\xff" x 64);
}

# How many rows a table has on other pages.
sub elsewhere
{
	my ($table, $page) = @_;
	my $next = $page + 1;
	return "(SELECT count(*) FROM $table WHERE ctid < '($page,0)') +"
	  . " (SELECT count(*) FROM $table WHERE ctid >= '($next,0)')";
}

sub logged
{
	my ($from, $pattern, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok(poll_until(sub { return log_since($node, $from) =~ $pattern }), $name);
	return;
}

$node->sql(
	q{
	CREATE ROLE unlucky LOGIN;
	SELECT jobq.grant_usage('unlucky');
	CREATE FUNCTION work(jsonb) RETURNS void LANGUAGE sql AS '';
	GRANT EXECUTE ON FUNCTION work TO PUBLIC;
	SELECT jobq.create_queue('bad', 'work(jsonb)'), jobq.create_queue('good', 'work(jsonb)'),
		jobq.create_queue('held', lease => '10 min'), jobq.create_queue('filler'),
		jobq.create_queue('counted', keep_completed_count => 5),
		jobq.create_queue('failed', max_attempts => 1);
	SELECT jobq.alter_queue('bad', owner => 'unlucky')});

# -------------------------------------------- jobs that are due, and leases

my $fill = q{SELECT count(jobq.enqueue('filler', delay => '1 y')) FROM generate_series(1, 150)};
$node->sql(
	qq{$fill; SELECT jobq.enqueue('bad', delay => '1 h'); $fill;
	SELECT jobq.enqueue('good', delay => '1 h'); SELECT jobq.enqueue('held');
	SELECT count(*) FROM jobq.dequeue('held')});
my $page = $node->sql(
	q{SELECT (ctid::text::point)[0]::int FROM jobq_store.job WHERE queue =
		(SELECT id FROM jobq_store.queue WHERE name = 'bad')});
# Queries of the test must not read all pages.
$node->sql('ALTER ROLE postgres SET enable_seqscan = off');
my $from = log_position($node);
my $content = break_page('jobq_store.job', $page);
$node->advance_clock('2 h');

sub state_of
{
	my ($name) = @_;
	return qq{SELECT state FROM jobq_store.job WHERE group_key IS NULL AND queue =
		(SELECT id FROM jobq_store.queue WHERE name = '$name')};
}
my $done = q{SELECT count(*) = 1 FROM jobq_store.history AS h JOIN jobq_store.queue AS q
	ON q.id = h.queue WHERE q.name =};
poll_ok($node, "$done 'good'", 'a job is run beside one that cannot be read');
poll_ok($node, state_of('held'), 'a lease ends beside a job that cannot be read', expected => '0');
logged(
	$from,
	qr/WARNING:  could not look for ready jobs of queue "bad": invalid page/,
	'the log names the queue');
logged(
	$from,
	qr/WARNING:  could not process block $page of table "job": invalid page/,
	'the log names the page of a lease that cannot be read');
write_page('jobq_store.job', $page, $content);
$node->advance_clock('2 h');
poll_ok($node, "$done 'bad'", 'the job is run when it can be read');

# ---------------------------------------------------------- limits by number

$node->sql(
	q{SELECT count(jobq.enqueue('counted')) FROM generate_series(1, 600);
	SELECT count(jobq.complete(id, lease)) FROM jobq.dequeue('counted', 600)});
$from = log_position($node);
$content = break_page('jobq_store.history_0', 1);
poll_ok(
	$node,
	'SELECT ' . elsewhere('jobq_store.history_0', 1) . ' <= 8',
	'jobs beyond a limit are deleted beside others that cannot be read');
logged(
	$from,
	qr/WARNING:  could not process block 1 of table "history_0": invalid page/,
	'the log names the page');
write_page('jobq_store.history_0', 1, $content);
poll_ok(
	$node,
	'SELECT count(*) <= 8 FROM jobq_store.history_0',
	'the others are deleted when they can be read');

# ---------------------------------------------------------- old attempts

$node->sql(
	q{SELECT count(jobq.enqueue('failed')) FROM generate_series(1, 400);
	SELECT count(jobq.fail(id, lease, 'no')) FROM jobq.dequeue('failed', 400);
	DELETE FROM jobq_store.history_0 WHERE state = 4});
# one is that of a lease that was lost, whose job is there
$content = break_page('jobq_store.attempt', 1);
poll_ok(
	$node,
	'SELECT ' . elsewhere('jobq_store.attempt', 1),
	'attempts are deleted beside others that cannot be read',
	expected => '1');
write_page('jobq_store.attempt', 1, $content);
poll_ok(
	$node,
	'SELECT count(*) FROM jobq_store.attempt',
	'the other attempts are deleted when they can be read',
	expected => '1');

# ------------------------------------------------------------- history's ring

my $segment = 'SELECT history_segment FROM jobq_store.service';
$node->sql(
	q{SELECT jobq.create_queue('dead', max_attempts => 1);
	SELECT jobq.enqueue('dead', jsonb_build_object('divisor', i)) FROM generate_series(0, 2) AS i;
	SELECT count(jobq.fail(id, lease, 'no')) FROM jobq.dequeue('dead', 3)});
for my $i (1 .. 7)
{
	$node->advance_clock('5 h');
	poll_ok($node, $segment, "turn $i", expected => $i);
}
my $where = q{SELECT string_agg(tableoid::regclass || ' ' || (payload ->> 'divisor'), ', '
		ORDER BY payload) FROM jobq_store.history WHERE state = 4};
$node->sql(q{CREATE INDEX broken ON jobq_store.history_7 ((1 / (payload ->> 'divisor')::integer))});
$from = log_position($node);
$node->advance_clock('5 h');
poll_ok(
	$node, $where,
	'jobs are moved beside one that cannot be',
	expected => 'jobq_store.history_0 0, jobq_store.history_7 1, jobq_store.history_7 2');
logged(
	$from,
	qr/WARNING:  could not process block \d+ of table "history_0": division by zero/,
	'the log says why');
is($node->sql($segment), '7', 'a segment with it is not emptied');
$node->sql('DROP INDEX jobq_store.broken');
ok( poll_until(
		sub {
			$node->advance_clock('61 s');
			return $node->sql($segment) eq '0';
		}),
	'it is when the job can be moved');
like($node->sql($where), qr/history_7 0, .*history_7 1, .*history_7 2/, 'no job is lost');

# --------------------------------------------- jobs that were rolled back

$node->sql(
	q{
	CREATE TABLE parent (i int PRIMARY KEY);
	CREATE TABLE child (i int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
	CREATE TABLE trap (i int);
	CREATE FUNCTION spring() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
		SET CONSTRAINTS ALL DEFERRED; INSERT INTO child VALUES (77); RETURN NULL; END$$;
	CREATE CONSTRAINT TRIGGER spring AFTER INSERT ON trap DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION spring();
	CREATE FUNCTION act(payload jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		IF payload = '"trap"' THEN INSERT INTO trap VALUES (1); END IF; END$$;
	SELECT jobq.create_queue('undone', 'act(jsonb)', max_attempts => 2);
	SELECT jobq.enqueue('undone') FROM generate_series(1, 30);
	CREATE INDEX broken ON jobq_store.attempt
		((1 / (CASE outcome WHEN 'interrupted' THEN job_id % 2 ELSE 1 END)))});
my $recorded = q{SELECT count(DISTINCT job_id % 2) FROM jobq_store.attempt
	WHERE outcome = 'interrupted'};
$from = log_position($node);
ok( poll_until(
		sub {
			$node->sql(
				q{SELECT jobq.pause('undone');
				SELECT jobq.enqueue('undone', to_jsonb(CASE i WHEN 6 THEN 'trap' ELSE '' END))
				FROM generate_series(1, 6) AS i; SELECT jobq.resume('undone')});
			return poll_until(sub { return $node->sql($recorded) ne '0' }, 1);
		}),
	'jobs are recorded beside others that cannot be');
logged($from, qr/WARNING:  could not record job \d+: division by zero/, 'the log names one');
$node->sql('DROP INDEX jobq_store.broken');
$node->advance_clock('61 s');
poll_ok($node, $recorded, 'the others are recorded when they can be', expected => '2');

$node->stop;
done_testing();
