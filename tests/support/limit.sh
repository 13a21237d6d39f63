# SPDX-License-Identifier: MIT OR Apache-2.0
#
# limit.sh - time limits of tests.  Sourced.
#
# A limit is there to end what hangs, not to measure.  So on a machine that has more to do than
# processors it grows with the load, up to tenfold.

# scaled SECONDS: as many, or more of them
scaled()
{
	awk -v n="$1" -v cpus="$(nproc)" \
		'{ f = $1 / cpus; f = f < 1 ? 1 : f > 10 ? 10 : f; print int(n * f + 0.5) }' /proc/loadavg
}
