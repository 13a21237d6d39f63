#!/usr/bin/perl
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# check-map.pl [TREE] - hold the map of files in TREE/docs/ARCHITECTURE.md against the tree.
#
# Each file of C of engine/, fs/ and tools/ stands in the first column of a row, each file that
# stands there exists, and none stands there twice.  Prints a line for each fault and exits with
# 1; silent when all is well.  A name without a folder is in the folder of the name before it.
use strict;
use warnings;
use File::Find;

my $tree = $ARGV[0] // '.';
chdir $tree or die "check-map: $tree: $!\n";

# Names in the first column of the map; "name.[ch]" is two.
sub names_in_map {
	my ($in_map, $folder, @names) = (0, '');
	open my $in, '<', 'docs/ARCHITECTURE.md' or die "check-map: docs/ARCHITECTURE.md: $!\n";
	while (<$in>) {
		$in_map = /^## Map/ if /^## /;
		next if !$in_map || !/^\|([^|]*)\|/;
		for my $name ($1 =~ /`([^`]*)`/g) {
			$folder = $1 if $name =~ m{^(.*)/};
			$name = "$folder/$name" if $name !~ m{/};
			push @names, $name =~ /(.*)\.\[ch\]$/ ? ("$1.c", "$1.h") : $name;
		}
	}
	return @names;
}

my (%mapped, @faults);
for my $name (names_in_map()) {
	push @faults, "'$name' does not exist" if !-e $name;
	push @faults, "'$name' stands there twice" if $mapped{$name}++;
}
find({
	no_chdir => 1,
	wanted   => sub { push @faults, "'$_' is missing" if /\.[ch]$/ && !$mapped{$_} }
}, grep { -d } qw(engine fs tools));
print "map of docs/ARCHITECTURE.md: $_\n" for sort @faults;
exit @faults ? 1 : 0;
