#!/usr/bin/perl
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# replay.pl STORE_DIR - a second reader of DataWal stores, written from
# docs/FORMAT.md alone; it shares nothing with the engine.
#
# Prints a line for each live key, in order of the keys: the key in hexadecimal
# ("-" for the empty one), the size of its value, the CRC-32C of its value.
# A torn tail is told on stderr and is no failure.  Exit status: 0; 1 for a damaged
# store, which is told on stderr as "segment NNNNNNNN offset N: REASON" and has no
# other output; 2 if it cannot be read at all.
use strict;
use warnings;

my ($HEADER, $TRAILER, $KEY_MAX, $PAYLOAD_MAX) = (24, 4, 65536, 67108864);
my ($RAW, $PUT, $DELETE) = (0, 1, 2);

# Reflected 1EDC6F41, a byte at a time.
my @crc_table = map {
	my $c = $_;
	$c = $c & 1 ? ($c >> 1) ^ 0x82F63B78 : $c >> 1 for 1 .. 8;
	$c;
} 0 .. 255;

sub crc32c {
	my ($bytes) = @_;
	my $crc = 0xFFFFFFFF;

	# in pieces: a list of all bytes of a large value would take too much memory
	for (my $at = 0; $at < length $bytes; $at += 65536) {
		$crc = $crc_table[($crc ^ $_) & 0xFF] ^ ($crc >> 8)
			for unpack 'C*', substr($bytes, $at, 65536);
	}
	return $crc ^ 0xFFFFFFFF;
}

sub fail {
	my ($status, $text) = @_;

	print STDERR "replay.pl: $text\n";
	exit $status;
}

# All segments, by ascending id.
sub segments {
	my ($dir) = @_;

	opendir my $handle, $dir or fail(2, "'$dir': $!");
	my @names = sort grep { /\A[0-9]{8}\.dwal\z/ } readdir $handle;
	closedir $handle;
	return @names;
}

sub read_segment {
	my ($path) = @_;

	lstat $path or fail(2, "'$path': $!");
	fail(2, "'$path' is no regular file") unless -f _ && !-l _;
	open my $file, '<:raw', $path or fail(2, "'$path': $!");
	local $/;
	my $bytes = <$file>;
	defined $bytes or fail(2, "'$path': $!");
	close $file;
	return $bytes;
}

# The record at $at, as (reason); or ('', type, txid, key, payload, size).
sub decode {
	my ($log, $at) = @_;
	my $left = length($$log) - $at;

	return 'truncated' if $left < $HEADER;
	my ($magic, $version, $type, $flags, $txid, $key_size, $payload_size) =
		unpack 'a4 v C C Q< V V', substr($$log, $at, $HEADER);
	if ($magic ne 'DWAL') {
		return substr($$log, $at) =~ /[^\0]/ ? 'magic' : 'zeros';
	}
	return 'version' if $version != 1;
	return 'type' if $type > $DELETE;
	return 'flags' if $flags;
	return 'key_size' if $key_size > $KEY_MAX;
	return 'payload_size' if $payload_size > $PAYLOAD_MAX;
	my $covered = $HEADER + $key_size + $payload_size;
	return 'truncated' if $covered + $TRAILER > $left;
	my $crc = unpack 'V', substr($$log, $at + $covered, $TRAILER);
	return 'crc' if $crc != crc32c(substr($$log, $at, $covered));
	my $key = substr($$log, $at + $HEADER, $key_size);
	my $payload = substr($$log, $at + $HEADER + $key_size, $payload_size);
	return ('', $type, $txid, $key, $payload, $covered + $TRAILER);
}

# Replay one segment into the view; the offset and reason of what ended it early.
sub replay {
	my ($log, $view) = @_;
	my $at = 0;

	while ($at < length $$log) {
		my ($reason, $type, $txid, $key, $payload, $size) = decode($log, $at);
		return ($at, $reason) if $reason;
		$view->{$key} = $payload if $type == $PUT;
		delete $view->{$key} if $type == $DELETE;
		$at += $size;
	}
	return ($at, '');
}

sub main {
	fail(2, 'usage: replay.pl STORE_DIR') unless @ARGV == 1;
	my ($dir) = @ARGV;
	my @segments = segments($dir);
	my %forgiven = map { $_ => 1 } qw(truncated crc zeros);
	my %view;

	for my $name (@segments) {
		my $last = $name eq $segments[-1];
		my $log = read_segment("$dir/$name");
		my ($at, $reason) = replay(\$log, \%view);
		next unless $reason;
		my $where = 'segment ' . substr($name, 0, 8) . " offset $at";
		if (!$last || !$forgiven{$reason}) {
			$reason = 'magic' if $reason eq 'zeros';
			fail(1, "$where: $reason");
		}
		my $torn = length($log) - $at;
		print STDERR "replay.pl: $where: torn tail of $torn bytes ($reason)\n";
	}
	for my $key (sort keys %view) {
		my $value = $view{$key};
		printf "%s %d %08x\n", length $key ? unpack('H*', $key) : '-', length $value,
			crc32c($value);
	}
	close STDOUT or fail(2, "standard output: $!");
}

fail(2, 'the CRC-32C is wrong') unless crc32c('123456789') == 0xe3069283;
main();
