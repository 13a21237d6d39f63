#!/usr/bin/perl
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# notify-listen.pl SOCKET FILE - a service manager's end of sd_notify(3): each datagram
# that comes to SOCKET is appended to FILE, with "--" behind. A SOCKET that begins with
# '@' is an abstract one. Ends with a datagram that says STOPPING=1.
use strict;
use warnings;
use Socket;

my ($path, $file) = @ARGV;
(my $name = $path) =~ s/^\@/\0/;
socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or die "socket: $!\n";
# pack_sockaddr_un() would fill up an abstract name with zeros
my $address = $name =~ /^\0/ ? pack('S a*', AF_UNIX, $name) : pack_sockaddr_un($name);
bind($socket, $address) or die "bind: $!\n";
open my $out, '>>', $file or die "$file: $!\n";
$out->autoflush(1);
print $out "listening\n";
while (defined recv($socket, my $text, 65536, 0)) {
	print $out "$text\n--\n";
	last if $text =~ /^STOPPING=1$/m;
}
