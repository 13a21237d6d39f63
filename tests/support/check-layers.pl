#!/usr/bin/perl
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# check-layers.pl [TREE [OBJECTS]] - hold a tree of sources against the order in TREE/tests/layers.
#
# Prints a line for each fault and exits with 1; silent when all is well.  OBJECTS holds the
# objects of the sources ("PATH.o" for PATH.c; build/release/obj), from which the calls are read.
#
# Checked are: each folder with C in it is declared, and each declared one exists; includes and
# calls go to the own folder or up the list, and into other parts only as declared; no circle of
# headers, and none of files that call one another, inside a folder; the lengths of files and
# functions.  A call through a pointer is not seen.
#
# TREE/tests/layers.known lists what is known and must go, a line each: the fault as it is
# printed, " -- ", and the reason.  Less of a listed fault is fine: a shorter file, a circle of
# fewer of its files.  An entry whose fault is gone is a fault, so that the list only shrinks.
use strict;
use warnings;
use File::Find;

my $tree = $ARGV[0] // '.';
my $objects = $ARGV[1] // "$tree/build/release/obj";
chdir $tree or die "check-layers: $tree: $!\n";

my (%rank, %row, %sees, %headers, %limit, @mirrors);    # tests/layers
my (@files, %text, %folder_of);                          # the tree
my @faults;

sub fault { push @faults, join '', @_ }

sub lines_of {
	my ($path) = @_;
	open my $in, '<', $path or die "check-layers: $path: $!\n";
	local $/;
	return split /\n/, <$in> // '', -1;
}

# --- what is declared ---

sub declare {
	my ($line, $row) = @_;
	if    ($line =~ /^part (\S+)\s+sees(.*)$/)     { $sees{$1} = { map { $_ => 1 } split ' ', $2 } }
	elsif ($line =~ /^header (\S+)\s+in\s+(.*)$/)  { $headers{$1} = { map { $_ => 1 } split ' ', $2 } }
	elsif ($line =~ /^mirror (\S+)$/)              { push @mirrors, $1 }
	elsif ($line =~ /^lines of a (\S+)\s+(\d+)$/)  { $limit{$1} = $2 }
	else {
		for my $folder (split ' ', $line) {
			die "check-layers: '$folder' is declared twice\n" if defined $row{$folder};
			$row{$folder} = $row;
			$rank{$folder} = keys %rank;
		}
	}
}

sub read_layers {
	my ($row, $text) = (0, join "\n", lines_of('tests/layers'));
	$text =~ s/#.*//mg;
	$text =~ s/\\\n/ /g;
	for my $line (split /\n/, $text) {
		$line =~ s/^\s+|\s+$//g;
		declare($line, $row++) if $line ne '';
	}
}

# --- the tree ---

sub folder_of { return $_[0] =~ m{^(.*)/[^/]*$} ? $1 : '.' }
sub name_of   { return $_[0] =~ m{([^/]*)$}     ? $1 : $_[0] }
sub part_of   { return $_[0] =~ m{^([^/]*)}     ? $1 : $_[0] }

sub read_tree {
	my @parts = grep { -d } sort keys %sees;
	find({
		no_chdir => 1,
		wanted   => sub {
			push @files, $_ if -f && /\.([ch]|sh|pl)$/ && !m{^tests/fixtures/};
		}
	}, @parts) if @parts;
	@files = sort @files;
	for my $file (@files) {
		$text{$file} = [ lines_of($file) ];
		pop @{ $text{$file} } if @{ $text{$file} } && $text{$file}[-1] eq '';
		$folder_of{$file} = folder_of($file);
	}
	@files = grep { /\.[ch]$/ } @files;    # scripts have a length and nothing else
}

sub check_folders {
	my %with_code = map { folder_of($_) => 1 } @files;
	for my $folder (sort keys %with_code) {
		fault("folder $folder: is not declared in tests/layers") if !defined $row{$folder};
	}
	for my $folder (sort keys %row) {
		fault("folder $folder: is declared in tests/layers and has no C in it")
		  if !$with_code{$folder};
		for my $mirror (@mirrors) {
			fault("folder $folder: mirrors nothing")
			  if $folder =~ m{^\Q$mirror\E/(.*)} && !defined $row{$1};
		}
	}
}

# --- who sees whom ---

# Why a file must not use one of another folder; '' if it may.
sub wrong_way {
	my ($from, $to) = @_;
	my ($a, $b) = ($folder_of{$from}, $folder_of{$to});
	return '' if $a eq $b || !defined $row{$a} || !defined $row{$b};
	my ($mine, $other) = (part_of($a), part_of($b));
	return "$mine/ sees nothing of $b"
	  if $mine ne $other && !$sees{$mine}{$b} && !$sees{$mine}{'*'};
	return "$b is beside $a" if $row{$a} == $row{$b};
	return "$b comes after $a" if $row{$a} < $row{$b};
	return '';
}

# As the compiler looks for it.
sub resolve {
	my ($file, $name) = @_;
	my $near = "$folder_of{$file}/$name";
	1 while $near =~ s{[^/]+/\.\./}{};
	for my $path ($near, "engine/$name", $name) {
		return $path if $text{$path};
	}
	return undef;
}

sub check_system_header {
	my ($file, $name) = @_;
	my $folder = $folder_of{$file};
	for my $word (grep { $name =~ /\Q$_\E/ } sort keys %headers) {
		fault("include $file: <$name> does not belong in $folder")
		  if !$headers{$word}{$folder} && !$headers{$word}{ part_of($folder) };
	}
}

# Returns for each header those of its own folder that it includes.
sub check_includes {
	my %near;
	for my $file (@files) {
		for (@{ $text{$file} }) {
			check_system_header($file, $1) if /^\s*#\s*include\s*<([^>]*)>/;
			next if !/^\s*#\s*include\s*"([^"]*)"/;
			my ($name, $path) = ($1, resolve($file, $1));
			if (!defined $path) {
				fault("include $file: \"$name\" is no file of the tree");
				next;
			}
			my $why = wrong_way($file, $path);
			fault("include $file: \"$name\": $why") if $why;
			$near{$file}{$path} = 1
			  if $file =~ /h$/ && $path =~ /h$/ && $folder_of{$path} eq $folder_of{$file};
		}
	}
	return \%near;
}

# --- calls, from symbols ---

sub read_symbols {
	my (%defined, %needed, %source);
	for my $file (grep { /\.c$/ } @files) {
		my $object = "$objects/" . ($file =~ s/c$/o/r);
		if    (-e $object)                       { $source{$object} = $file }
		elsif ($folder_of{$file} !~ m{^tests/bench}) {    # these have Makefiles of their own
			fault("calls of $file: there is no $object; build all and tests first");
		}
	}
	my @objects = sort keys %source;
	return (\%defined, \%needed) if !@objects;
	open my $nm, '-|', 'nm', '-A', '-P', '-g', @objects or die "check-layers: nm: $!\n";
	while (<$nm>) {
		my ($object, $symbol, $type) = /^(.*): (\S+) (\S)/ or next;
		if ($type =~ /[Uwv]/) { push @{ $needed{ $source{$object} } }, $symbol }
		else                  { push @{ $defined{$symbol} }, $source{$object} }
	}
	close $nm or die "check-layers: nm failed\n";
	# nothing else is linked with a program, so what it defines is its own
	my %program = map { $_ => 1 } @{ $defined{main} // [] };
	@$_ = grep { !$program{$_} } @$_ for values %defined;
	return (\%defined, \%needed);
}

# Which file a symbol comes from, or undef: programs may use one name for different functions, and
# what tests define stands in for a library of the system.
sub definer_of {
	my ($file, @candidates) = @_;
	my $mine = part_of($file);
	@candidates = grep { part_of($_) eq $mine || !$sees{ part_of($_) }{'*'} } @candidates;
	my ($seen) = grep { !wrong_way($file, $_) } @candidates;
	return $seen // $candidates[0];
}

# Returns for each file those of its own folder that it calls.
sub check_calls {
	my ($defined, $needed) = read_symbols();
	my %near;
	for my $file (sort keys %$needed) {
		my %wrong;
		for my $symbol (sort @{ $needed->{$file} }) {
			my $other = definer_of($file, @{ $defined->{$symbol} // [] }) // next;
			# the public header is the way into the engine, whatever file has the call
			my $public = $symbol =~ /^dw_/ && part_of($other) eq 'engine';
			next if $public && part_of($file) ne 'engine';
			my $why = wrong_way($file, $other);
			push @{ $wrong{$other} }, $symbol if $why;
			$near{$file}{$other} = 1 if $folder_of{$other} eq $folder_of{$file};
		}
		for my $other (sort keys %wrong) {
			fault("call $file -> $other: ", join(' ', @{ $wrong{$other} }));
		}
	}
	return \%near;
}

# --- circles ---

# Groups of files that reach one another (Tarjan).
sub circles {
	my ($graph) = @_;
	my (%index, %low, %on, @stack, @groups);
	my $visit;
	$visit = sub {
		my ($file) = @_;
		$index{$file} = $low{$file} = keys %index;
		push @stack, $file;
		$on{$file} = 1;
		for my $next (sort keys %{ $graph->{$file} // {} }) {
			$visit->($next) if !defined $index{$next};
			$low{$file} = $low{$next} if $on{$next} && $low{$next} < $low{$file};
		}
		return if $low{$file} != $index{$file};
		my @group;
		do { push @group, pop @stack; $on{ $group[-1] } = 0 } while $group[-1] ne $file;
		push @groups, [ sort @group ] if @group > 1 || $graph->{$file}{$file};
	};
	for my $file (sort keys %$graph) {
		$visit->($file) if !defined $index{$file};
	}
	return @groups;
}

sub check_circles {
	my ($what, $graph) = @_;
	for my $group (circles($graph)) {
		fault("circle of $what in $folder_of{ $group->[0] }: ",
			join ' ', map { name_of($_) } @$group);
	}
}

# --- lengths ---

sub check_length {
	my ($what, $name, $lines) = @_;
	fault("length of $name: $lines lines, a $what has at most $limit{$what}")
	  if $limit{$what} && $lines > $limit{$what};
}

# A function opens with '{' and ends with '}' at the beginning of a line; its head counts.
sub check_functions {
	my ($file) = @_;
	my ($head, $begin) = (0, undef);
	my $lines = $text{$file};
	for my $i (0 .. $#$lines) {
		if ($lines->[$i] =~ /^\{/) { $begin = $head }
		elsif ($lines->[$i] =~ /^\}/ && defined $begin) {
			my ($name) = join(' ', @$lines[ $begin .. $begin + 3 ]) =~ /(\w+)\(/;
			check_length('function', "$file " . ($name // '?'), $i - $begin + 1);
			$begin = undef;
		}
		# what may not be part of a head
		$head = $i + 1 if !defined $begin && $lines->[$i] =~ m{(?:^|;|\}|\*/)$|^\s*//|^#};
	}
}

sub check_lengths {
	for my $file (sort keys %text) {
		check_length('file', $file, scalar @{ $text{$file} });
		check_functions($file) if $file =~ /\.[ch]$/;
	}
}

# --- what is known ---

# A fault is "what and where: the rest"; a listed one covers it if it says no less.
sub parse_fault {
	my ($text) = @_;
	my ($head, $rest) = $text =~ /^(.*?): (.*)$/;
	return { head => $head, lines => $1 } if $head =~ /^length / && $rest =~ /^(\d+)/;
	return { head => $head, words => { map { $_ => 1 } split ' ', $rest } };
}

sub read_known {
	my @known;
	return @known if !-e 'tests/layers.known';
	for my $line (lines_of('tests/layers.known')) {
		next if $line =~ /^#|^\s*$/;
		if ($line =~ /^(\S.*?: .*?) -- \S/) { push @known, { line => $line, %{ parse_fault($1) } } }
		else { fault("tests/layers.known: no fault with a reason: $line") }
	}
	return @known;
}

sub covers {
	my ($entry, $fault) = @_;
	return 0 if $entry->{head} ne $fault->{head};
	# a folder may have more than one circle
	$entry->{met} = 1 if $fault->{lines} || grep { $entry->{words}{$_} } keys %{ $fault->{words} };
	return $fault->{lines} <= $entry->{lines} if $fault->{lines};
	return !grep { !$entry->{words}{$_} } keys %{ $fault->{words} };
}

read_layers();
read_tree();
check_folders();
check_circles('headers', check_includes());
check_circles('calls', check_calls());
check_lengths();
my @known = read_known();
my @told;
for my $text (@faults) {
	my $fault = parse_fault($text);
	push @told, $text if !grep { covers($_, $fault) } @known;
}
push @told, map { "tests/layers.known: is mended, take it out: $_->{line}" }
  grep { !$_->{met} } @known;
print "layers: $_\n" for @told;
exit @told ? 1 : 0;
