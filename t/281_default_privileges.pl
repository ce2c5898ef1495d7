# t/281_default_privileges.pl: default privileges of the superuser who installs jobq
# give nobody rights in it.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 0']);

$node->sql(
	q{
	DROP EXTENSION jobq;
	CREATE ROLE app LOGIN;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO app, PUBLIC;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO app, PUBLIC;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO app;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON TYPES TO app;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO app;
	CREATE EXTENSION jobq});
my $granted = q{
	WITH space AS (SELECT oid FROM pg_namespace WHERE nspname IN ('jobq', 'jobq_store'))
	SELECT count(*) FROM (
		SELECT nspacl FROM pg_namespace WHERE oid IN (SELECT oid FROM space)
		UNION ALL SELECT relacl FROM pg_class WHERE relnamespace IN (SELECT oid FROM space)
		UNION ALL SELECT proacl FROM pg_proc WHERE pronamespace IN (SELECT oid FROM space)
		UNION ALL SELECT typacl FROM pg_type WHERE typnamespace IN (SELECT oid FROM space)
			AND typrelid = 0 AND typelem = 0) AS object (acl), aclexplode(acl) AS a
	WHERE a.grantee <> a.grantor};
is($node->sql($granted), '0', 'nobody has rights');
$node->sql(q{SELECT jobq.create_queue('secret'); SELECT jobq.enqueue('secret', '1')});
$node->sql(q{SELECT jobq.grant_usage('app')});
is(as_role($node, 'app', 'SELECT count(*) FROM jobq.jobs'), '0', 'jobs are not to be read');
like(
	sql_error($node, q{SET ROLE app; SELECT jobq.create_queue('mine')}),
	qr/42501: permission denied/,
	'queues are not to be created');
$node->sql(q{SELECT jobq.revoke_usage('app')});
is($node->sql($granted), '0', 'revoke_usage() takes all back');

done_testing();
