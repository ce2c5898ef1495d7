# t/298_tiny_memory.pl: the random operations of t/240_flow_model.pl, where memory has
# room for a part of the groups: which of them are in it changes all the time, and
# nothing else does.

use strict;
use warnings;

use JobqFlowTest;
use Test::More;

# That of each queue's link to its limit, and of a group of two queues and their limits.
flow_test(operations => 800, restarts => 400, room => 12);
done_testing();
