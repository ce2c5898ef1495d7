# t/240_flow_model.pl: random operations on queues with limits of all kinds, in one
# session, each compared with what a model says of it (JobqFlowTest.pm).

use strict;
use warnings;

use JobqFlowTest;
use Test::More;

flow_test(operations => 40_000, restarts => 10_000);
done_testing();
