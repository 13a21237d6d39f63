#!/usr/bin/perl
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# mutate.pl names LIST...              - a line for each mutant: name, file, tests
# mutate.pl apply NAME TREE LIST...    - change the file of that mutant in TREE
# mutate.pl check TREE LIST...         - say which of them do not apply, or name tests that are
#                                        not there; change nothing
#
# A list is text.  Lines that begin with '#' say what a mutant breaks; then:
#
#   mutant NAME
#   file PATH
#   test PROGRAM [TEST]     below build/MODE/tests or, with .sh, below tests; any number of them
#   -old text
#   +new text
#
# Lines with '-' stand together for text that must occur exactly once in the file, whatever the
# blanks and line feeds between its words; those with '+' behind them are what takes its place
# (nothing, if there are none).  More such pairs may follow.
use strict;
use warnings;

sub fail { print STDERR "mutate: @_\n"; exit 2 }

sub read_file {
	my ($path) = @_;
	open my $in, '<', $path or fail("$path: $!");
	local $/;
	my $text = <$in>;
	close $in;
	return $text;
}

sub add_line {
	my ($mutant, $mark, $text) = @_;
	my $hunks = $mutant->{hunks};
	push @$hunks, { '-' => [], '+' => [] }
	  if !@$hunks || ($mark eq '-' && @{ $hunks->[-1]{'+'} });
	push @{ $hunks->[-1]{$mark} }, $text;
}

sub read_list {
	my ($path) = @_;
	my (@mutants, $mutant);
	for my $line (split /\n/, read_file($path)) {
		next if $line =~ /^#/ || $line =~ /^\s*$/;
		if ($line =~ /^mutant ([a-z0-9_]+)$/) {
			$mutant = { name => $1, tests => [], hunks => [] };
			push @mutants, $mutant;
		}
		elsif (!$mutant)                   { fail("$path: '$line' stands before any mutant") }
		elsif ($line =~ /^file (\S+)$/)    { $mutant->{file} = $1 }
		elsif ($line =~ /^test (\S+)( \S+)?$/) { push @{ $mutant->{tests} }, $1 . ($2 // '') }
		elsif ($line =~ /^([-+])(.*)$/)    { add_line($mutant, $1, $2) }
		else                               { fail("$path: cannot make sense of '$line'") }
	}
	return @mutants;
}

# Words of the old text as a pattern: as many blanks as there may be between them.
sub pattern_of {
	my ($lines) = @_;
	my @words = split ' ', join("\n", @$lines);
	fail("a mutant changes nothing") unless @words;
	my $pattern = join '\s+', map { quotemeta } @words;
	return qr/$pattern/;
}

# The file's text with the change in it, and what is wrong.
sub changed {
	my ($mutant, $path) = @_;
	-e $path or return ('', "there is no $mutant->{file}");
	my $text = read_file($path);
	for my $hunk (@{ $mutant->{hunks} }) {
		my $pattern = pattern_of($hunk->{'-'});
		my $count   = () = $text =~ /$pattern/g;
		return ('', "'" . join(' ', map { s/^\s+//r } @{ $hunk->{'-'} }) . "' occurs $count times")
		  if $count != 1;
		my $new = join "\n", @{ $hunk->{'+'} };
		$text =~ s/$pattern/$new/;
	}
	return ($text, '');
}

sub apply {
	my ($mutant, $tree) = @_;
	my $path = "$tree/$mutant->{file}";
	my ($text, $wrong) = changed($mutant, $path);
	return $wrong if $wrong;
	open my $out, '>', $path or fail("$path: $!");
	print $out $text;
	close $out or fail("$path: $!");
	return '';
}

# What is wrong with a mutant before it is built.
sub check {
	my ($mutant, $tree) = @_;
	my (undef, $wrong) = changed($mutant, "$tree/$mutant->{file}");
	return $wrong if $wrong;
	for (@{ $mutant->{tests} }) {
		my ($program, $name) = split ' ';
		my $source = "tests/$program" . ($program =~ /\.sh$/ ? '' : '.c');
		return "there is no $source" if !-e "$tree/$source";
		return "there is no $name in $source"
		  if $name && read_file("$tree/$source") !~ /\b\Q$name\E\b/;
	}
	return '';
}

my $what = shift // '';
if ($what eq 'names') {
	my %seen;
	for my $mutant (map { read_list($_) } @ARGV) {
		fail("two mutants are called '$mutant->{name}'") if $seen{ $mutant->{name} }++;
		fail("'$mutant->{name}' has no file") unless $mutant->{file};
		fail("'$mutant->{name}' changes nothing") unless @{ $mutant->{hunks} };
		print join("\t", $mutant->{name}, $mutant->{file}, @{ $mutant->{tests} }), "\n";
	}
}
elsif ($what eq 'apply') {
	my ($name, $tree, @lists) = @ARGV;
	my ($mutant) = grep { $_->{name} eq $name } map { read_list($_) } @lists;
	fail("there is no mutant '$name'") unless $mutant;
	my $wrong = apply($mutant, $tree);
	print "$wrong\n" if $wrong;
	exit($wrong ? 1 : 0);
}
elsif ($what eq 'check') {
	my ($tree, @lists) = @ARGV;
	my $bad = 0;
	for my $mutant (map { read_list($_) } @lists) {
		my $wrong = check($mutant, $tree) or next;
		print "mutant $mutant->{name}: $wrong\n";
		$bad = 1;
	}
	exit $bad;
}
else { fail("usage: mutate.pl names LIST... | apply NAME TREE LIST... | check TREE LIST...") }
