/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * plot.c - see plot.h.
 *
 * gnuplot reads script and data from its standard input and writes the picture to its
 * standard output: no path has to be quoted for it.
 */
#include "tools/soak/plot.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/soak/sample.h"
#include "tools/soak/say.h"

enum { EXEC_FAILED = 127 };

static const char script[] =
	"set terminal svg size 900,1100 font 'sans-serif,12' background rgb 'white'\n"
	"set multiplot layout 4,1 title 'datawal-soak'\n"
	"set grid\n"
	"unset key\n"
	"set lmargin 12\n"
	"set rmargin 12\n"
	"set yrange [0:*]\n"
	"set ylabel 'resident memory, MiB'\n"
	"plot $rows using 1:2 with lines lw 1.5 lc rgb '#1f77b4'\n"
	"set ylabel 'open descriptors'\n"
	"plot $rows using 1:3 with steps lw 1.5 lc rgb '#d62728'\n"
	"set ylabel 'segments'\n"
	"plot $rows using 1:4 with steps lw 1.5 lc rgb '#2ca02c'\n"
	"set xlabel 'seconds'\n"
	"set ylabel 'operations a second'\n"
	"set y2label 'MiB a second'\n"
	"set y2range [0:*]\n"
	"set ytics nomirror\n"
	"set y2tics\n"
	"set key top right\n"
	"plot $rows using 1:5 with lines lw 1.5 lc rgb '#1f77b4' title 'operations', \\\n"
	"     $rows using 1:6 axes x1y2 with lines lw 1.5 lc rgb '#ff7f0e' title 'MiB'\n"
	"unset multiplot\n";

/* --- the rows --- */

enum { COLUMNS = 10, ELAPSED_S = 0, RSS_KB, FDS, SEGMENTS, PUTS = 5, DELETES, BYTES = 9 };

static bool parse_row(const char *line, double ret[COLUMNS])
{
	char *end;

	for (int i = 0; i < COLUMNS; i++) {
		ret[i] = strtod(line, &end);
		if (end == line || *end != (i + 1 < COLUMNS ? ',' : '\n'))
			return false;
		line = end + 1;
	}
	return true;
}

/* Write the figures to draw of a row; rates are of the time since the row before. */
static void write_row(FILE *out, const double row[COLUMNS], const double before[COLUMNS])
{
	double seconds = row[ELAPSED_S] - before[ELAPSED_S];
	double operations = row[PUTS] + row[DELETES] - before[PUTS] - before[DELETES];

	if (seconds <= 0)
		return;
	(void)fprintf(out, "%g %g %g %g %g %g\n", row[ELAPSED_S], row[RSS_KB] / 1024, row[FDS],
		      row[SEGMENTS], operations / seconds,
		      (row[BYTES] - before[BYTES]) / seconds / 1048576);
}

/* 0, or SOAK_SETUP after a message. */
static int copy_rows(const char *path, FILE *csv, FILE *out)
{
	double rows[2][COLUMNS] = {{0}};
	char *line = NULL;
	size_t room = 0;
	int count = 0;
	bool good = true;

	while (good && getline(&line, &room, csv) >= 0) {
		double *row = rows[count % 2], *before = rows[(count + 1) % 2];
		if (!count++) {
			good = !strncmp(line, sample_columns, strlen(sample_columns));
			continue;
		}
		good = parse_row(line, row);
		if (good)
			write_row(out, row, before);
	}
	free(line);
	if (!good || !count)
		return soak_setup_error("'%s' is no CSV of datawal-soak", path);
	return count == 1 ? soak_setup_error("'%s' has no rows to draw", path) : 0;
}

/* `*ret` is the caller's.  0, or SOAK_SETUP after a message. */
static int read_rows(const char *path, char **ret)
{
	FILE *csv = fopen(path, "re");
	char *rows = NULL;
	size_t size = 0;

	if (!csv)
		return soak_setup_error("'%s': %s; run datawal-soak first", path, strerror(errno));
	FILE *out = open_memstream(&rows, &size);
	if (!out)
		soak_out_of_memory();
	int rc = copy_rows(path, csv, out);
	if (fclose(out))
		soak_out_of_memory();
	(void)fclose(csv); /* only read from */
	if (rc)
		free(rows);
	else
		*ret = rows;
	return rc;
}

/* --- gnuplot --- */

/* Start gnuplot with its output going to `fd`.  Its standard input, or NULL. */
static FILE *start_gnuplot(int fd, pid_t *pid_ret)
{
	int pipes[2];

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return NULL;
	pid_t pid = fork();
	if (!pid) {
		if (dup2(pipes[0], STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
			_exit(EXEC_FAILED);
		(void)execlp("gnuplot", "gnuplot", "-", (char *)NULL);
		_exit(EXEC_FAILED);
	}
	(void)close(pipes[0]);
	FILE *in = pid < 0 ? NULL : fdopen(pipes[1], "w");
	if (!in)
		(void)close(pipes[1]);
	*pid_ret = pid;
	return in;
}

/* 0, or SOAK_SETUP after a message. */
static int run_gnuplot(const char *rows, int fd)
{
	int status = 0;
	pid_t pid = -1;

	(void)signal(SIGPIPE, SIG_IGN); /* its exit status tells more */
	FILE *in = start_gnuplot(fd, &pid);
	if (pid < 0)
		return soak_setup_error("gnuplot cannot be run: %s", strerror(errno));
	if (in) {
		(void)fprintf(in, "$rows << END_OF_ROWS\n%sEND_OF_ROWS\n%s", rows, script);
		(void)fclose(in);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return soak_setup_error("gnuplot: %s", strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXEC_FAILED)
		return soak_setup_error("gnuplot cannot be run; --plot needs it (Debian's package "
					"gnuplot-nox)");
	return status || !in ? soak_setup_error("gnuplot failed") : 0;
}

int plot_draw(const struct config *config, const char *path)
{
	char *csv = sample_path(config), *temporary = soak_text("%s.tmp", path), *rows = NULL;
	int rc = read_rows(csv, &rows);
	if (!rc)
		(void)unlink(temporary); /* a leftover, or a link that must not be followed */
	int fd = rc ? -1 : open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	if (!rc && fd < 0)
		rc = soak_setup_error("'%s': %s", temporary, strerror(errno));
	if (!rc)
		rc = run_gnuplot(rows, fd);
	if (fd >= 0 && close(fd) < 0 && !rc)
		rc = soak_setup_error("'%s': %s", temporary, strerror(errno));
	if (!rc && rename(temporary, path) < 0)
		rc = soak_setup_error("'%s': %s", path, strerror(errno));
	if (rc && fd >= 0)
		(void)unlink(temporary);
	free(rows);
	free(temporary);
	free(csv);
	return rc;
}
