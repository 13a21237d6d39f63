#!/usr/bin/perl
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# check-prometheus.pl FILE - whether a file is Prometheus' text format, strictly: what a
# server would take, and what it takes but should not have to. Silent if all is well.
use strict;
use warnings;

my ($path) = @ARGV or die "usage: check-prometheus.pl FILE\n";
my (%type, %help, %closed, %seen, %series, $family);
my $bad = 0;

sub fault { print "$path:$.: $_[0]\n"; $bad = 1 }

# The family that a sample belongs to.
sub family_of {
	my ($name) = @_;
	(my $base = $name) =~ s/_(bucket|sum|count)$//;
	return $base if $base ne $name && ($type{$base} // '') =~ /^(histogram|summary)$/;
	return $name;
}

sub enter {
	my ($name) = @_;
	return if defined $family && $family eq $name;
	fault("'$name' goes on after other metrics") if $closed{$name};
	$closed{$family} = 1 if defined $family;
	$family = $name;
}

sub labels_of {
	my ($text) = @_;
	my %labels;
	while ($text =~ /\G([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\"n])*)"(,|$)/gc) {
		fault("label '$1' twice") if exists $labels{$1};
		$labels{$1} = $2;
		return \%labels if pos($text) == length $text && $3 eq '';
	}
	fault("labels '$text'");
	return \%labels;
}

sub sample {
	my ($name, $label_text, $value) = @_;
	my $of = family_of($name);
	enter($of);
	return fault("'$name' has no TYPE and HELP before it") if !$type{$of} || !$help{$of};
	fault("value '$value'") if $value !~ /^(?:[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?|NaN|[+-]Inf)$/;
	fault("counter '$name' does not end in _total") if $type{$of} eq 'counter' && $name !~ /_total$/;
	my $labels = defined $label_text ? labels_of($label_text) : {};
	my $key = join ',', map { "$_=$labels->{$_}" } sort keys %$labels;
	fault("'$name\{$key\}' twice") if $seen{"$name\{$key\}"}++;
	return if $type{$of} ne 'histogram';
	my $le = delete $labels->{le};
	my $rest = join ',', map { "$_=$labels->{$_}" } sort keys %$labels;
	my $one = $series{$of}{$rest} //= { buckets => [] };
	if ($name eq "${of}_bucket") {
		defined $le ? push @{ $one->{buckets} }, [ $le, $value ] : fault("a bucket without 'le'");
	} elsif ($name =~ /_(sum|count)$/) {
		$one->{$1} = $value;
	} else {
		fault("'$name' is no sample of a histogram");
	}
}

sub check_histogram {
	my ($name, $one) = @_;
	my ($last_le, $last) = (-1, 0);
	for my $bucket (@{ $one->{buckets} }) {
		my ($le, $value) = @$bucket;
		my $number = $le eq '+Inf' ? 9**9**9 : $le;
		fault("$name: buckets out of order at $le") if $number <= $last_le;
		fault("$name: bucket $le has less than the one before") if $value < $last;
		($last_le, $last) = ($number, $value);
	}
	return fault("$name: no bucket +Inf") if $last_le != 9**9**9;
	return fault("$name: no sum or no count") if !defined $one->{sum} || !defined $one->{count};
	fault("$name: count $one->{count} is not bucket +Inf, $last") if $one->{count} != $last;
}

open my $in, '<', $path or die "$path: $!\n";
while (my $line = <$in>) {
	$line =~ s/\n$// or fault('the last line has no end');
	if ($line =~ /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/) {
		my ($what, $name, $text) = ($1, $2, $3);
		my $table = $what eq 'HELP' ? \%help : \%type;
		fault("$what of '$name' twice") if $table->{$name};
		enter($name);
		fault("type '$text'") if $what eq 'TYPE' && $text !~ /^(counter|gauge|histogram|summary|untyped)$/;
		$table->{$name} = $text;
	} elsif ($line =~ /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{([^}]*)\})? (\S+)$/) {
		sample($1, $2, $3);
	} else {
		fault("'$line'");
	}
}
fault('no metrics') if !%type;
for my $name (sort keys %series) {
	check_histogram("$name\{$_\}", $series{$name}{$_}) for sort keys %{ $series{$name} };
}
exit $bad;
