#!/usr/bin/perl
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# table.pl - from the benchmarks' CSV to a verdict for each bar.
#
#   table.pl [-m MEDIANS.csv] [-t TABLE.csv] [-g CHART.svg] BARS FIGURES.csv
#
# FIGURES.csv has lines "rep,peer,scenario,metric,unit,value" of one run.  Medians are over
# all lines that agree in all but rep.  The table goes to standard output; -m writes all
# medians, -t the table, as CSV; -g draws the chart, which takes gnuplot.
# Exit status: 0, whether bars are met or missed; 1: a bad file, or one without figures.
#
# BARS is read line by line; "#" starts a comment.
#   ours PEER               whom the bars are for
#   alias NAME = PEER,...   the best of these
#   TITLE | SCENARIO:METRIC [- N]     a row: our figure, less N; with a "?" in front it is left
#                                     out when there is no such figure
#   then, indented, its bars; REF is PEER[@SCENARIO:METRIC], by default that of the row:
#   at least N x REF        so many times as good: as fast, or in 1/N of the time
#   ahead of REF            better than the best of them
#   within N x REF          no worse than N times that
#   at most N               the figure itself
#   shown beside REF        a ratio and no verdict
# More is better for units that end in "/s"; for all others less is.
use strict;
use warnings;
use Getopt::Long qw(:config bundling);

my (%values, %medians, %units, %aliases, @rows, $ours);

sub fault { print STDERR "table.pl: @_\n"; exit 1 }

sub median
{
	my @v = sort { $a <=> $b } @_;
	return @v % 2 ? $v[$#v / 2] : ($v[@v / 2 - 1] + $v[@v / 2]) / 2;
}

sub figures_read
{
	my ($path) = @_;
	open my $f, '<', $path or fault("'$path': $!");
	while (<$f>) {
		chomp;
		my (undef, $peer, $scenario, $metric, $unit, $value) = my @fields = split /,/;
		@fields == 6 && $value =~ /^[0-9.]+(e[-+]?[0-9]+)?$/ or fault("'$path', line $.: '$_'");
		my $what = "$scenario:$metric";
		($units{$what} //= $unit) eq $unit or fault("'$path', line $.: two units of $what");
		push @{$values{$what}{$peer}}, $value;
	}
	%values or fault("'$path': no figures");
	for my $what (keys %values) {
		$medians{$what}{$_} = median(@{$values{$what}{$_}}) for keys %{$values{$what}};
	}
}

sub bar_read
{
	my ($text) = @_;
	my $ref = qr/(?<ref>\w+)(@(?<what>\S+))?/;
	return {kind => 'least', n => $+{n}, %+} if $text =~ /^at least (?<n>[0-9.]+) x $ref$/;
	return {kind => 'within', n => $+{n}, %+} if $text =~ /^within (?<n>[0-9.]+) x $ref$/;
	return {kind => 'ahead', n => 1, %+} if $text =~ /^ahead of $ref$/;
	return {kind => 'shown', n => 1, %+} if $text =~ /^shown beside $ref$/;
	return {kind => 'most', n => $1} if $text =~ /^at most ([0-9.]+)$/;
	return;
}

sub bars_read
{
	my ($path) = @_;
	open my $f, '<', $path or fault("'$path': $!");
	while (<$f>) {
		next if /^\s*(#|$)/;
		chomp;
		if (/^ours (\w+)$/) {
			$ours = $1;
		} elsif (/^alias (\w+) = ([\w,]+)$/) {
			$aliases{$1} = [split /,/, $2];
		} elsif (/^(\??)(\S.*?) \| (\S+:\S+)(?: - ([0-9]+))?$/) {
			push @rows, {title => $2, optional => $1 ne '', what => $3, less => $4 // 0, bars => []};
		} elsif (/^\s+(\S.*)$/ && @rows) {
			my $bar = bar_read($1) or fault("'$path', line $.: '$_'");
			$bar->{text} = $1 =~ s/@\S+//r;
			push @{$rows[-1]{bars}}, $bar;
		} else {
			fault("'$path', line $.: '$_'");
		}
	}
	$ours && @rows or fault("'$path': no rows, or nobody whom they are for");
}

sub more_is_better { return $units{$_[0]} =~ m{/s$} }

# The peer's figure, or the best of an alias', whose it is, and whether none is missing.
sub reference
{
	my ($ref, $what) = @_;
	my $of = $medians{$what} or return;
	my @all = @{$aliases{$ref} // [$ref]};
	my @peers = grep { defined $of->{$_} } @all;
	@peers = sort { $of->{$a} <=> $of->{$b} } @peers;
	my $best = more_is_better($what) ? $peers[-1] : $peers[0];
	return defined $best ? ($of->{$best}, $best, @peers == @all) : ();
}

# Fill in ratio, share (of the bar: 1 is on it) and verdict.
sub bar_judge
{
	my ($row, $bar) = @_;
	my $ours_value = $row->{value};
	my $complete = 1;
	@$bar{qw(verdict peer)} = ('not run', $bar->{ref} // '');
	return if !defined $ours_value;
	if ($bar->{kind} eq 'most') {
		@$bar{qw(reference ratio share)} = ('', '', $ours_value > 0 ? $bar->{n} / $ours_value : 1e3);
	} else {
		my $what = $bar->{what} // $row->{what};
		(my ($value, $peer), $complete) = reference($bar->{ref}, $what) or return;
		$units{$what} eq $units{$row->{what}} or fault("$row->{title}: two units");
		$value > 0 && $ours_value > 0 or fault("$row->{title}: a figure is 0");
		my $good = more_is_better($what) ? $ours_value / $value : $value / $ours_value;
		@$bar{qw(reference peer)} = ($value, $peer);
		# "within" speaks of how much worse, the others of how much better
		@$bar{qw(ratio share)} = $bar->{kind} eq 'within' ? (1 / $good, $bar->{n} * $good) : ($good, $good / $bar->{n});
	}
	my $met = $bar->{kind} eq 'ahead' ? $bar->{share} > 1 : $bar->{share} >= 1;
	# the best of those that ran need not be the best of all
	return if $met && !$complete;
	$bar->{verdict} = $bar->{kind} eq 'shown' ? '' : $met ? 'met' : 'missed';
}

sub rows_judge
{
	for my $row (@rows) {
		my $value = $medians{$row->{what}}{$ours};
		$row->{value} = defined $value ? $value - $row->{less} : undef;
		bar_judge($row, $_) for @{$row->{bars}};
	}
	@rows = grep { !$_->{optional} || defined $_->{value} } @rows;
}

# 1234567 as 1.23M; always about three digits
sub short
{
	my ($v) = @_;
	return '-' if !defined $v || $v eq '';
	return sprintf '%.3gM', $v / 1e6 if $v >= 999.5e3;
	return sprintf '%.3gk', $v / 1e3 if $v >= 9995;
	return $v >= 100 ? sprintf '%.0f', $v : sprintf '%.3g', $v;
}

sub table_print
{
	my $format = "%-36s %-26s %14s %24s %7s  %s\n";
	my %count = (met => 0, missed => 0, 'not run' => 0, '' => 0);
	printf $format, '', 'bar', 'ours', 'against', 'ratio', '';
	for my $row (@rows) {
		my $title = $row->{title};
		my $unit = $units{$row->{what}} // '';
		for my $bar (@{$row->{bars}}) {
			my $against = $bar->{reference} ? short($bar->{reference}) . " ($bar->{peer})" : '-';
			my $ratio = $bar->{ratio} ? sprintf '%.2f', $bar->{ratio} : '-';
			printf $format, $title, $bar->{text}, $title eq '' ? '' : defined $row->{value} ? short($row->{value}) . " $unit" : '-',
				$against, $ratio, $bar->{verdict};
			$title = '';
			$count{$bar->{verdict}}++;
		}
	}
	print "\n$count{met} bars met, $count{missed} missed, $count{'not run'} not run\n";
	return $count{met} + $count{missed};
}

sub quoted { return '"' . ($_[0] =~ s/"/""/gr) . '"' }

sub table_write
{
	my ($path) = @_;
	open my $f, '>', $path or fault("'$path': $!");
	print $f "row,bar,unit,ours,peer,reference,ratio,share,verdict\n";
	for my $row (@rows) {
		for my $bar (@{$row->{bars}}) {
			print $f join(',', quoted($row->{title}), quoted($bar->{text}), $units{$row->{what}} // '',
				map { !defined || $_ eq '' ? '' : /^[0-9.]+(e[-+]?\d+)?$/ ? sprintf '%.6g', $_ : $_ }
				$row->{value}, @$bar{qw(peer reference ratio share verdict)}), "\n";
		}
	}
	close $f or fault("'$path': $!");
}

sub medians_write
{
	my ($path) = @_;
	open my $f, '>', $path or fault("'$path': $!");
	print $f "scenario,metric,unit,peer,median,rounds\n";
	for my $what (sort keys %medians) {
		my ($scenario, $metric) = split /:/, $what, 2;
		for my $peer (sort keys %{$medians{$what}}) {
			printf $f "%s,%s,%s,%s,%.6g,%d\n", $scenario, $metric, $units{$what}, $peer,
				$medians{$what}{$peer}, scalar @{$values{$what}{$peer}};
		}
	}
	close $f or fault("'$path': $!");
}

# One horizontal bar for each verdict, as long as our share of what it asks: 1 is the line.
sub chart_draw
{
	my ($path) = @_;
	my (@met, @missed, @tics);
	for my $row (@rows) {
		for my $bar (grep { $_->{verdict} =~ /^m/ } @{$row->{bars}}) {
			my $label = "$row->{title}: $bar->{text}" =~ s/[\\"]//gr;
			my $at = @tics;
			push @tics, "\"$label\" $at";
			my $ratio = $bar->{ratio} ? sprintf '%.2f', $bar->{ratio} : short($row->{value});
			push @{$bar->{verdict} eq 'met' ? \@met : \@missed}, sprintf '%.4g %d %s', $bar->{share}, $at, $ratio;
		}
	}
	my $height = 110 + 22 * @tics;
	my $tics = join ', ', @tics;
	my $top = @tics;
	open my $g, '|-', 'gnuplot' or fault("gnuplot: $!");
	print $g <<"END";
set terminal svg size 1000,$height font "sans-serif,12" noenhanced background "white"
set output "$path"
set encoding utf8
set logscale x 2
set xrange [0.05:20]
set xtics ("1/16" 0.0625, "1/8" 0.125, "1/4" 0.25, "1/2" 0.5, "1" 1, "2" 2, "4" 4, "8" 8, "16" 16)
set yrange [$top:-1]
set ytics ($tics) scale 0
set grid xtics lc rgb "#dddddd"
set arrow from 1,-1 to 1,$top nohead lw 2 lc rgb "black" front
set xlabel "times what the bar asks; at the end the ratio"
set key top right
set style fill solid noborder
clamp(x) = x > 13 ? 13 : x < 0.075 ? 0.075 : x
END
	# gnuplot refuses, or dies of, a block without points
	my @blocks = grep { @{$_->[1]} } ['met', \@met, '#4a9d5b', 'left'], ['missed', \@missed, '#c9563c', 'right'];
	print $g "\$$_->[0] << END_OF_DATA\n", map({ "$_\n" } @{$_->[1]}), "END_OF_DATA\n" for @blocks;
	print $g 'plot ', join(', ', map {
		"\$$_->[0] using (1):2:(1):(clamp(\$1)):(\$2-0.35):(\$2+0.35) with boxxyerror lc rgb '$_->[2]' title '$_->[0]', "
		. "'' using (clamp(\$1) * (\$1 < 1 ? 0.96 : 1.04)):2:3 with labels $_->[3] notitle"
	} @blocks), "\n";
	close $g or fault('gnuplot failed');
}

my ($medians_path, $table_path, $chart_path);
GetOptions('m=s' => \$medians_path, 't=s' => \$table_path, 'g=s' => \$chart_path) && @ARGV == 2
	or fault('usage: table.pl [-m MEDIANS.csv] [-t TABLE.csv] [-g CHART.svg] BARS FIGURES.csv');
bars_read($ARGV[0]);
figures_read($ARGV[1]);
rows_judge();
my $judged = table_print();
medians_write($medians_path) if defined $medians_path;
table_write($table_path) if defined $table_path;
# without one there is nothing to draw
chart_draw($chart_path) if defined $chart_path && $judged;
