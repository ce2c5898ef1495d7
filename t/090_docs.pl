# t/090_docs.pl: the SQL in the documentation runs as it is printed there, and
# prints what the documentation shows.
#
# Each file gets a fresh database with the extension, and its blocks that are
# marked "sql" run one after the other in one psql session. The session is
# given the whole file with everything else blanked out, so that the line
# numbers in psql's messages are those of the file.
#
#   ```sql                   every statement must succeed
#   ```sql error=SQLSTATE    exactly one statement fails, with that state; the
#                            error must be shown
#   ```output                right after a block of SQL: what psql prints for it,
#                            messages included
#
# Times from 2026 to 2089, numbers of leases and the width of columns may differ
# from what is shown, and a line "..." stands for any number of lines. Blocks in other
# languages are not run. pg_sleep(), by which a reader waits for the background
# workers, is replaced by a wait for the end of their jobs.

use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use JobqTest;

# Files that must have SQL in them; others in docs/ are run if they have any.
my @with_sql = qw(README.md docs/tutorial.md docs/operations.md
  docs/reference.md docs/cron.md docs/recipes.md);

# Files without anything hidden from readers, since they are pasted into psql.
my @visible = qw(README.md docs/tutorial.md);

my $marker = 'jobq-docs-block';

# What psql is told first, on the first line of the script. It prints as in an
# interactive session, and SQLSTATEs besides.
my $settings =
  '\set QUIET on\pset format aligned\pset tuples_only off' . '\set VERBOSITY verbose\set QUIET off';

# What readers wait for with pg_sleep()
my $wait_for_workers = q{
	CREATE FUNCTION public.wait_for_workers() RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1..1200 LOOP
			EXIT WHEN NOT EXISTS (
				SELECT FROM jobq.jobs AS j JOIN jobq.queues AS q USING (queue)
				WHERE j.finished_at IS NULL AND NOT q.paused
				  AND (q.handler IS NOT NULL OR j.command IS NOT NULL)
				  AND j.run_at < clock_timestamp() + interval '5 s');
			PERFORM pg_sleep(0.05);
		END LOOP;
	END $$};

# A fence that opens: what becomes of its line in the script, and the block.
sub open_block
{
	my ($info, $line) = @_;
	my ($language, @options) = split(/\s+/, $info);
	my $block = {
		language => $language // '',
		line => $line,
		options => [@options],
		text => ''
	};

	($block->{error}) = map { /^error=(\w{5})$/ ? $1 : () } @options;
	return (
		$block->{language} eq 'sql'
		? '\set ON_ERROR_STOP ' . ($block->{error} ? 'off' : 'on')
		: '',
		$block);
}

# A block of SQL is one more of @$blocks; the output shown belongs to the block
# of SQL right before it.
sub keep_block
{
	my ($blocks, $block, $previous) = @_;

	if ($block->{language} eq 'sql')
	{
		push @$blocks, $block;
	}
	elsif ($block->{language} eq 'output')
	{
		$block->{problem} = 'output without SQL right before it'
		  unless $previous && $previous->{language} eq 'sql';
		if   ($block->{problem}) { push @$blocks, $block; }
		else                     { $previous->{output} = $block->{text}; }
	}
	return;
}

# The blocks of a file: { line, end, error, text, output }, and the script for
# psql.
sub read_blocks
{
	my ($file) = @_;
	my (@blocks, @script, $block, $fence, $previous);

	open(my $fh, '<', source_dir() . "/$file") or return;
	while (my $line = <$fh>)
	{
		my $command = '';
		chomp $line;
		if (!$block && $line =~ /^\s*(`{3,}|~{3,})\s*(.*?)\s*$/)
		{
			$fence = $1;
			($command, $block) = open_block($2, $.);
			keep_block(\@blocks, $block) if $block->{language} eq 'sql';
		}
		elsif ($block && $line =~ /^\s*\Q$fence\E\s*$/)
		{
			$block->{end} = $.;
			keep_block(\@blocks, $block, $previous)
			  if $block->{language} ne 'sql';
			$command = "\\warn $marker $#blocks"
			  if $block->{language} eq 'sql';
			$previous = $block;
			undef $block;
		}
		elsif ($block)
		{
			$block->{text} .= "$line\n";
			$command = $line =~ s/\bpg_sleep\(\d+\)/public.wait_for_workers() AS pg_sleep/r
			  if $block->{language} eq 'sql';
		}
		elsif ($line =~ /\S/)
		{
			undef $previous;
		}
		push @script, $command;
	}
	close($fh);
	return (join("\n", @script) . "\n", @blocks);
}

# What is wrong with a block before it is run, if anything.
sub malformed
{
	my ($block) = @_;
	my $text = $block->{text};

	return $block->{problem} if $block->{problem};
	return 'the block is not closed' unless defined $block->{end};
	foreach my $option (@{ $block->{options} })
	{
		return "unknown option \"$option\"" unless $option =~ /^error=\w{5}$/;
	}
	$text =~ s/--[^\n]*$//mg;
	$text =~ s/\s+$//;
	return 'the block is empty' if $text eq '';
	# A terminal pastes the block as one line, of which the command would take the rest.
	return "\"$1\" is to be ended by \\\\" if $text =~ /(\\(?:gset|echo)\b[^\n]*)(?<! \\\\)\n/;
	return 'the last statement is not terminated'
	  unless $text =~ /;$/ || $text =~ /\\[a-z][^\n]*$/;
	return 'the error is not shown'
	  if $block->{error} && ($block->{output} // '') !~ /^ERROR:  /m;
	return;
}

# run_script($node, $db, $script): whether it took too long, the errors, each
# { line, state, message }, and what was printed for each block. Results and
# messages come through one pipe, in their order: psql flushes the former after
# each statement.
sub run_script
{
	my ($node, $db, $script) = @_;
	my $out = '';
	my @errors;

	my $finished = eval {
		IPC::Run::run([ 'psql', '-XqAt', '-f', '-', '-d', $node->connstr($db) ],
			'<', \"$settings$script", '>&', \$out, IPC::Run::timeout(3 * wait_limit()));
		1;
	};
	while ($out =~ /^psql:<stdin>:(\d+): (?:ERROR|FATAL|PANIC):  (\w{5}: .*)$/mg)
	{
		push @errors, { line => $1, state => substr($2, 0, 5), message => $2 };
	}
	# psql's own complaints bear no SQLSTATE
	while ($out =~ /^psql:<stdin>:(\d+): error: (.*)$/mg)
	{
		push @errors, { line => $1, state => '', message => $2 };
	}
	my @printed = split(/^$marker \d+\n/m, $out, -1);
	my $rest = pop @printed;
	return (!$finished, \@errors, \@printed, $rest);
}

# What a reader sees of psql's messages: no SQLSTATEs and no places; and no
# notifications, which come earlier or later.
sub as_seen
{
	my ($text) = @_;

	$text =~ s/^psql:<stdin>:\d+: (\w+:  )\w{5}: /$1/mg;
	$text =~ s/^(?:SCHEMA|TABLE|COLUMN|DATA TYPE|CONSTRAINT) NAME:  .*\n//mg;
	$text =~ s/^LOCATION:  .*\n//mg;
	$text =~ s/^Asynchronous notification .*\n//mg;
	return $text;
}

# The same text for all that may differ from one run to the next
sub normalized
{
	my ($text) = @_;
	my $time = qr/20(?:2[6-9]|[3-8]\d)-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?[+-]\d\d(?::\d\d)?/;

	$text =~ s/$time/TIME/g;
	$text =~ s/\b\d{12,}\b/LEASE/g;
	$text =~ s/-{2,}/--/g;
	$text =~ s/[ \t]+/ /g;
	$text =~ s/^ | $//mg;
	$text =~ s/\n{2,}/\n/g;
	$text =~ s/^\n+|\n+$//g;
	return $text;
}

# Does the documentation show what was printed?
sub shows
{
	my ($shown, $printed) = @_;
	my $pattern =
	  join("\n", map { $_ eq '...' ? '(?s:.*)' : quotemeta } split(/\n/, normalized($shown)));

	return normalized(as_seen($printed)) =~ /\A$pattern\z/;
}

# What happened to a block that differs from what it says, if anything.
sub verdict
{
	my ($block, $printed, @errors) = @_;
	my @mine =
	  grep { $_->{line} >= $block->{line} && $_->{line} <= $block->{end} } @errors;

	if (defined $block->{error})
	{
		return (undef, $block->{line}, "no error, expected $block->{error}")
		  unless @mine;
		foreach my $error (@mine)
		{
			return (undef, $error->{line}, $error->{message})
			  if $error->{state} ne $block->{error};
		}
		return (undef, $mine[1]{line}, 'a second error: ' . $mine[1]{message})
		  if @mine > 1;
	}
	elsif (@mine)
	{
		return (undef, $mine[0]{line}, $mine[0]{message});
	}
	return (undef, $block->{line}, 'the session ended')
	  unless defined $printed;
	return (undef, $block->{line}, "this was printed:\n" . as_seen($printed))
	  if defined $block->{output} && !shows($block->{output}, $printed);
	return (1);
}

# One assertion for each block, up to the first that goes wrong.
sub test_file
{
	my ($node, $file, $db) = @_;
	my ($script, @blocks) = read_blocks($file);

	if (!@blocks)
	{
		fail("$file has SQL") if grep { $_ eq $file } @with_sql;
		return;
	}
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	create_extension($node, $db) unless $script =~ /^CREATE EXTENSION/m;
	$node->safe_psql($db, $wait_for_workers);
	my ($timed_out, $errors, $printed, $rest) = run_script($node, $db, $script);

	for my $i (0 .. $#blocks)
	{
		my $block = $blocks[$i];
		my $name = "$file:$block->{line}";
		my $problem = malformed($block);
		my ($good, $line, $message) =
		  defined $problem
		  ? (undef, $block->{line}, $problem)
		  : verdict($block, $printed->[$i], @$errors);

		$message = 'it took too long'
		  if !$good && $timed_out && !@$errors;
		next if ok($good, $name);
		diag("$file:$line: $message");
		diag("the last that psql said:\n$rest") if $rest ne '';
		last;
	}
	return;
}

# docs/checklist.md: the lines are numbered, each names a test that is there or
# says why there is none, and what it names is in the sources.
sub test_checklist
{
	my ($file) = @_;
	my $dir = source_dir();
	my $text = slurp_file("$dir/$file");
	my $sources = join("\n", map { slurp_file($_) } glob("$dir/{src,bgworker}/{*,*/*}.[ch]"));
	my @lines = $text =~ /^\| \d+ \|.*$/mg;
	my %problems;

	cmp_ok(scalar(@lines), '>=', 90, "$file has lines");
	is_deeply([ map { /^\| (\d+) / } @lines ], [ 1 .. @lines ], "the lines of $file are numbered");
	foreach my $line (@lines)
	{
		my ($number, $proof) = $line =~ /^\| (\d+) (?:\| [^|]+ ){2}\| ([^|]+) \|$/;
		if (!defined $proof) { $problems{$line} = 'malformed'; next; }
		$problems{$number} = 'no test'
		  unless $proof =~ /by reading|`tools\/check-style`|`(?:t|sql|isolation|test)\//;
	}
	foreach my $name ($text =~ /`([\w.-]+\/[\w.\/-]+)`/g)
	{
		$problems{$name} = 'no such file' unless $name =~ /\/$/ ? -d "$dir/$name" : -e "$dir/$name";
	}
	foreach my $name ($text =~ /`(\w+)\(\)`/g)
	{
		$problems{$name} = 'no such function'
		  unless $sources =~ /^(?:#define )?$name\(/m || $name eq 'die';
	}
	is_deeply(\%problems, {}, "$file names only files and functions that exist");
	return;
}

test_checklist('docs/checklist.md');
foreach my $file (@visible)
{
	unlike(slurp_file(source_dir() . "/$file"), qr/<!--/, "$file hides nothing");
}

# "make install" takes the pages along.
sub test_installed
{
	my ($node) = @_;
	my $dir = source_dir();
	my $docs = $node->config_data('--docdir') . '/extension/jobq';
	my @files = map { substr($_, length($dir) + 1) } "$dir/README.md", glob("$dir/docs/*.md");

	is_deeply([ grep { !-e "$docs/$_" || slurp_file("$docs/$_") ne slurp_file("$dir/$_") } @files ],
		[], 'the documentation is installed');
	return;
}

my $node = jobq_node('docs', conf => ['jobq.max_workers = 4']);
my $dir = source_dir();
my %files = map { $_ => 1 } @with_sql;
$files{ substr($_, length($dir) + 1) } = 1 foreach glob("$dir/docs/*.md");

my $count = 0;
foreach my $file (sort keys %files)
{
	test_file($node, $file, 'docs_' . ++$count);
}
test_installed($node);

$node->stop;
done_testing();
