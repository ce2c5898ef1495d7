# The SQL in the documentation runs as it is printed there.
#
# Each file gets a fresh database with the extension, and its blocks that are
# marked "sql" run one after the other in one psql session. The session is
# given the whole file with everything else blanked out, so that the line
# numbers in psql's messages are those of the file.
#
#   ```sql                   every statement must succeed
#   ```sql error=SQLSTATE    exactly one statement fails, with that state
#
# Blocks in other languages are not run. A block may be hidden from readers in
# an HTML comment, to wait for a background worker or to check what it did.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use JobqTest;

# Files that must have SQL in them; others in docs/ are run if they have any.
my @with_sql = qw(README.md docs/tutorial.md docs/operations.md
  docs/reference.md docs/cron.md);

my $marker = 'jobq-docs-block';

# The blocks of a file: { line, end, error, text }, and the script for psql.
sub read_blocks
{
	my ($file) = @_;
	my (@blocks, @script, $block, $fence);

	open(my $fh, '<', source_dir() . "/$file") or return;
	while (my $line = <$fh>)
	{
		chomp $line;
		if (!defined $fence && $line =~ /^\s*(`{3,}|~{3,})\s*(.*?)\s*$/)
		{
			$fence = $1;
			my ($language, @options) = split(/\s+/, $2);
			if (($language // '') eq 'sql')
			{
				$block = { line => $., options => [@options], text => '' };
				($block->{error}) =
				  map { /^error=(\w{5})$/ ? $1 : () } @options;
				push @blocks, $block;
				$line = '\set ON_ERROR_STOP '
				  . ($block->{error} ? 'off' : 'on');
			}
			else
			{
				$line = '';
			}
		}
		elsif (defined $fence && $line =~ /^\s*\Q$fence\E\s*$/)
		{
			$line = '';
			if ($block)
			{
				$block->{end} = $.;
				$line = "\\echo $marker $#blocks";
			}
			undef $fence;
			undef $block;
		}
		elsif ($block)
		{
			$block->{text} .= "$line\n";
		}
		else
		{
			$line = '';
		}
		push @script, $line;
	}
	close($fh);
	return (join("\n", @script) . "\n", @blocks);
}

# What is wrong with a block before it is run, if anything.
sub malformed
{
	my ($block) = @_;
	my $text = $block->{text};

	return 'the block is not closed' unless defined $block->{end};
	foreach my $option (@{ $block->{options} })
	{
		return "unknown option \"$option\"" unless $option =~ /^error=\w{5}$/;
	}
	$text =~ s/--[^\n]*$//mg;
	$text =~ s/\s+$//;
	return 'the block is empty' if $text eq '';
	return 'the last statement is not terminated'
	  unless $text =~ /;$/ || $text =~ /\\[a-z][^\n]*$/;
	return;
}

# run_script($node, $db, $script): how many blocks were gone through, and the
# errors: { line, state, message }.
sub run_script
{
	my ($node, $db, $script) = @_;
	my ($out, $err, $timed_out) = ('', '', 0);
	my @errors;

	$node->psql(
		$db,
		"\\set VERBOSITY verbose\\set SHOW_CONTEXT never $script",
		stdout => \$out,
		stderr => \$err,
		on_error_stop => 1,
		timeout => 3 * wait_limit(),
		timed_out => \$timed_out);
	my $done = () = $out =~ /^$marker \d+$/mg;
	while ($err =~ /^psql:<stdin>:(\d+): (?:ERROR|FATAL|PANIC):  (\w{5}: .*)$/mg)
	{
		push @errors,
		  { line => $1, state => substr($2, 0, 5), message => $2 };
	}
	# psql's own complaints bear no SQLSTATE
	while ($err =~ /^psql:<stdin>:(\d+): error: (.*)$/mg)
	{
		push @errors, { line => $1, state => '', message => $2 };
	}
	return ($done, $timed_out, $err, @errors);
}

# What happened to a block that differs from what it says, if anything.
sub verdict
{
	my ($block, $reached, @errors) = @_;
	my @mine =
	  grep { $_->{line} >= $block->{line} && $_->{line} <= $block->{end} }
	  @errors;

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
		return (1);
	}
	return (undef, $mine[0]{line}, $mine[0]{message}) if @mine;
	return (undef, $block->{line}, 'the session ended') unless $reached;
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
	create_extension($node, $db);
	my ($done, $timed_out, $err, @errors) =
	  run_script($node, $db, $script);

	for my $i (0 .. $#blocks)
	{
		my $block = $blocks[$i];
		my $name = "$file:$block->{line}";
		my $problem = malformed($block);
		my ($good, $line, $message) =
		  defined $problem
		  ? (undef, $block->{line}, $problem)
		  : verdict($block, $i < $done, @errors);

		$message = 'it took too long'
		  if !$good && $timed_out && !@errors;
		next if ok($good, $name);
		diag("$file:$line: $message");
		diag("all that psql said:\n$err") if $err ne '';
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
	my $sources = join("\n", map { slurp_file($_) } glob("$dir/src/*.[ch] $dir/src/common/*.c $dir/bgworker/*.c"));
	my @lines = $text =~ /^\| \d+ \|.*$/mg;
	my %problems;

	cmp_ok(scalar(@lines), '>=', 90, "$file has lines");
	is_deeply([ map { /^\| (\d+) / } @lines ], [ 1 .. @lines ], 'which are numbered');
	foreach my $line (@lines)
	{
		my ($number, $proof) = $line =~ /^\| (\d+) (?:\| [^|]+ ){2}\| ([^|]+) \|$/;
		if (!defined $proof) { $problems{$line} = 'malformed'; next; }
		$problems{$number} = 'no test' unless $proof =~ /by reading|`tools\/check-style`|`(?:t|sql|isolation|test)\//;
	}
	foreach my $name ($text =~ /`([\w.-]+\/[\w.\/-]+)`/g)
	{
		$problems{$name} = 'no such file' unless $name =~ /\/$/ ? -d "$dir/$name" : -e "$dir/$name";
	}
	foreach my $name ($text =~ /`(\w+)\(\)`/g)
	{
		$problems{$name} = 'no such function' unless $sources =~ /^(?:#define )?$name\(/m || $name eq 'die';
	}
	is_deeply(\%problems, {}, 'and name what is there');
	return;
}

test_checklist('docs/checklist.md');

my $node = jobq_node('docs', conf => ['jobq.max_workers = 4']);
my $dir = source_dir();
my %files = map { $_ => 1 } @with_sql;
$files{ substr($_, length($dir) + 1) } = 1 foreach glob("$dir/docs/*.md");

my $count = 0;
foreach my $file (sort keys %files)
{
	test_file($node, $file, 'docs_' . ++$count);
}

$node->stop;
done_testing();
