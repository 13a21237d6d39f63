/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * driver.c - main() of a fuzzer where libFuzzer is not: a test program.
 *
 *   fuzz_NAME                 the seeds, the inputs in tests/fuzz/found/NAME, and FUZZ_RUNS
 *                             (fuzz_runs) inputs made from them
 *   fuzz_NAME FILE...         these inputs
 *   fuzz_NAME --seeds DIR     write the seeds, one a file: where libFuzzer starts
 *
 * CHECK_SEED decides how inputs are made, as in other tests.  The input with which the
 * program ended is kept in the file PROGRAM.input.
 *
 * An input may take processor time in proportion to its size: quadratic time is a fault, because a
 * store may come from anywhere.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

enum { INPUT_MAX = 1 << 16, MUTATIONS = 5 };

/* Processor time of one input, so that other work on the machine does not count: some twenty
 * times what the slowest take (the fuzzers' own checks included, which are naive). */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { BASE_NS = 1000000000, BYTE_NS = 100000 };
#else
enum { BASE_NS = 200000000, BYTE_NS = 10000 };
#endif

static struct buf *seeds; /* inputs are made from these; owned */
static size_t seed_count;
static char kept[4096];         /* the file for the input that failed */
static const struct buf *input; /* at work */

/* Of the sanitizers: they end a program without a signal. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void keep_input(void)
{
	int fd = input ? open(kept, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;

	if (fd < 0)
		return;
	if (write(fd, input->data, input->size) == (ssize_t)input->size) {
		static const char text[] = "the input is in ";
		(void)!write(STDERR_FILENO, text,
			     sizeof text - 1); /* best effort: the end is near */
		(void)!write(STDERR_FILENO, kept, strlen(kept));
		(void)!write(STDERR_FILENO, "\n", 1);
	}
	(void)close(fd);
	input = NULL;
}

static void on_signal(int number)
{
	keep_input();
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}

static int64_t processor_ns(void)
{
	struct timespec used;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used); /* cannot fail */
	return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

static void run(const struct buf *bytes)
{
	/* a block of its own size, so that reading behind it is noticed */
	uint8_t *copy = malloc(bytes->size + !bytes->size);

	FUZZ_CHECK(copy);
	if (bytes->size)
		memcpy(copy, bytes->data, bytes->size);
	input = bytes;
	int64_t started_ns = processor_ns();
	(void)LLVMFuzzerTestOneInput(copy, bytes->size);
	FUZZ_CHECK(processor_ns() - started_ns < BASE_NS + (int64_t)bytes->size * BYTE_NS);
	input = NULL;
	free(copy);
}

/* --- where inputs come from --- */

static void add_seed(const struct buf *seed)
{
	seeds = reallocarray(seeds, seed_count + 1, sizeof *seeds);
	FUZZ_CHECK(seeds);
	seeds[seed_count++] = *seed;
}

static bool read_file(const char *path)
{
	FILE *file = fopen(path, "re");
	struct buf bytes = {0};
	uint8_t chunk[4096];
	size_t n;

	if (!file)
		return false;
	while ((n = fread(chunk, 1, sizeof chunk, file)))
		fuzz_add(&bytes, chunk, n);
	(void)fclose(file); /* only read */
	add_seed(&bytes);
	return true;
}

static void read_directory(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char file[4096];

	while (dir && (entry = readdir(dir))) {
		(void)snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
		if (*entry->d_name != '.')
			FUZZ_CHECK(read_file(file));
	}
	if (dir)
		(void)closedir(dir);
}

static void own_seeds(void)
{
	for (;;) {
		struct buf seed = {0};
		if (!fuzz_seed(seed_count, &seed)) {
			buf_release(&seed);
			break;
		}
		add_seed(&seed);
	}
}

/* --- mutation --- */

/* splitmix64 */
struct rng {
	uint64_t state;
};

static uint64_t rng_next(struct rng *rng)
{
	uint64_t x = rng->state += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static uint64_t rng_below(struct rng *rng, uint64_t bound)
{
	return rng_next(rng) % bound;
}

static void replace(struct buf *bytes, size_t at, size_t gone, const void *data, size_t size)
{
	struct buf grown = {0};

	fuzz_add(&grown, bytes->data, at);
	fuzz_add(&grown, data, size);
	fuzz_add(&grown, bytes->data + at + gone, bytes->size - at - gone);
	buf_release(bytes);
	*bytes = grown;
}

/* A number that is often at a limit, little-endian. */
static uint64_t odd_number(struct rng *rng)
{
	static const uint64_t odd[] = {0,        1,          2,          3,         4,
				       24,       28,         127,        128,       255,
				       256,      65535,      65536,      65537,     67108864,
				       67108865, 0x7fffffff, 0xffffffff, UINT64_MAX};

	return odd[rng_below(rng, sizeof odd / sizeof *odd)];
}

static void mutate(struct rng *rng, struct buf *bytes)
{
	const struct buf *other = &seeds[rng_below(rng, seed_count)];
	size_t at = (size_t)rng_below(rng, bytes->size + 1), left = bytes->size - at;
	size_t some = left ? (size_t)rng_below(rng, left < 40 ? left : 40) + 1 : 0;
	uint64_t number = rng_below(rng, 2) ? odd_number(rng) : rng_next(rng);
	size_t width = (size_t)1 << rng_below(rng, 4);

	switch (rng_below(rng, 8)) {
	case 0:
		if (left)
			bytes->data[at] ^= (uint8_t)(1u << rng_below(rng, 8));
		break;
	case 1: replace(bytes, at, width < left ? width : left, &number, width); break;
	case 2: replace(bytes, at, 0, &number, width); break;
	case 3: replace(bytes, at, some, NULL, 0); break;
	case 4: replace(bytes, at, rng_below(rng, 2) ? left : 0, other->data, other->size); break;
	case 5: {
		size_t from = (size_t)rng_below(rng, other->size + 1);
		replace(bytes, at, rng_below(rng, 2) ? left : 0, other->data + from,
			other->size - from);
		break;
	}
	case 6: bytes->size = rng_below(rng, 3) ? bytes->size : at; break;
	default:
		if (left)
			bytes->data[at] = (uint8_t)number;
	}
	if (bytes->size > INPUT_MAX)
		bytes->size = INPUT_MAX;
}

static void run_mutations(unsigned long runs)
{
	const char *given = getenv("CHECK_SEED");
	struct rng rng = {given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 1000003};

	(void)printf("  seed: CHECK_SEED=%llu\n", (unsigned long long)rng.state);
	(void)fflush(stdout);
	for (unsigned long i = 0; i < runs && seed_count; i++) {
		const struct buf *seed = &seeds[rng_below(&rng, seed_count)];
		struct buf bytes = {0};
		fuzz_add(&bytes, seed->data, seed->size);
		for (uint64_t n = 1 + rng_below(&rng, MUTATIONS); n; n--)
			mutate(&rng, &bytes);
		run(&bytes);
		buf_release(&bytes);
	}
}

/* --- */

static int write_seeds(const char *dir)
{
	char path[4096];

	for (size_t i = 0; i < seed_count; i++) {
		(void)snprintf(path, sizeof path, "%s/seed-%03zu", dir, i);
		FILE *file = fopen(path, "we");
		if (!file || (seeds[i].size && !fwrite(seeds[i].data, seeds[i].size, 1, file)) ||
		    fclose(file)) {
			perror(path);
			return 1;
		}
	}
	return 0;
}

static int run_all(const char *name, bool mutations)
{
	const char *given = getenv("FUZZ_RUNS");

	for (size_t i = 0; i < seed_count; i++)
		run(&seeds[i]);
	if (mutations)
		run_mutations(given ? strtoul(given, NULL, 10) : fuzz_runs);
	(void)printf("ok %s\n", name);
	return 0;
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
	char found[256];

	(void)snprintf(kept, sizeof kept, "%s.input", argv[0]);
	(void)signal(SIGABRT, on_signal); /* these cannot fail */
	(void)signal(SIGSEGV, on_signal);
	(void)signal(SIGBUS, on_signal);
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(keep_input);
	bool files = argc > 1 && strcmp(argv[1], "--seeds") != 0;
	for (int i = 1; files && i < argc; i++)
		if (!read_file(argv[i])) {
			perror(argv[i]);
			return 1;
		}
	if (!files)
		own_seeds();
	int rc;
	if (argc > 2 && !files) { /* --seeds DIR */
		rc = write_seeds(argv[2]);
	} else {
		if (!files) {
			(void)snprintf(found, sizeof found, "tests/fuzz/found/%s", name);
			read_directory(found);
		}
		rc = run_all(name, !files);
	}
	for (size_t i = 0; i < seed_count; i++)
		buf_release(&seeds[i]);
	free(seeds);
	return rc;
}
