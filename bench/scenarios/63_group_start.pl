# How long the job of a group waits that comes while another group has many.

package JobqBench::Scenario::GroupStart;

use strict;
use warnings;

use JobqBench::Queue    qw(reset_queue fill_queue database script);
use JobqBench::Report   qw(goal thousands);
use JobqBench::Scenario qw(scenario);
use JobqBench::Server   qw(sql sql_file);

my $none = 'empty queue';

scenario(
	title => 'start of a job while another group has many',
	run => sub {
		my ($size) = @_;
		my @variants = (
			{ system => $none, db => database('jobq'), jobs => 0 },
			{
				system => thousands($size->{behind}) . ' jobs of another',
				db => database('jobq_2'),
				jobs => $size->{behind},
				goal => goal('<=', 2, $none)
			});
		foreach (@variants)
		{
			reset_queue('jobq', db => $_->{db});
			fill_queue('jobq', $_->{jobs}, $_->{db}, groups => 1);
		}
		sql('postgres', 'CHECKPOINT');
		foreach my $round (1 .. $size->{rounds})
		{
			foreach my $variant (@variants)
			{
				my @times = split(
					/\t/,
					sql_file(
						$variant->{db},
						script('jobq', 'group_start.sql'),
						jobs => $size->{wake_jobs}));
				push @{ $variant->{times}[$_] }, $times[$_] foreach (0, 1);
			}
		}
		reset_queue('jobq', db => $variants[1]{db});
		my @rows;
		foreach my $i (0, 1)
		{
			push @rows, map {
				{
					measure => ('median', '99th percentile')[$i],
					system => $_->{system},
					clients => 1,
					unit => 'ms',
					values => $_->{times}[$i],
					goal => $i == 1 ? $_->{goal} : undef
				}
			} @variants;
		}
		return @rows;
	});
