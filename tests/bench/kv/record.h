/* record.h - what the key/value programs here share: their records, and how they load a
 * backend and measure in a child, so that no phase is coloured by the one before. */
#ifndef RECORD_H
#define RECORD_H

#include <dlfcn.h>
#include <err.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../bench.h"
#include "be.h"

enum { SLIDE = 128 << 10, POOL = SLIDE + (1 << 20), KEY_SIZE = 16 };	/* values slide over a pool */

static char pool[POOL];

/* Key: 16 hex digits of a hash of the id.  Value: a slice of a random pool. */
static inline struct rec make_record(char key[KEY_SIZE], uint64_t id, unsigned round, size_t vlen)
{
	uint64_t x = mix(id);
	for (int i = 0; i < KEY_SIZE; i++, x >>= 4)
		key[i] = "0123456789abcdef"[x & 15];
	x = mix(id * 8 + round) % SLIDE;
	return (struct rec){ id, key, KEY_SIZE, pool + x, vlen };
}

/* Whether `got` bytes in `buf` are the value of `r`, by its first and last 8 bytes. */
static inline int same_value(const struct rec *r, const char *buf, long got)
{
	return got == (long)r->vlen && !memcmp(buf, r->val, 8) &&
	       !memcmp(buf + r->vlen - 8, (const char *)r->val + r->vlen - 8, 8);
}

static inline const struct be *load_backend(const char *so)
{
	void *dl = dlopen(so, RTLD_NOW);
	const struct be *b = dl ? dlsym(dl, "be") : NULL;
	if (!b)
		errx(2, "%s", dlerror());
	fill(pool, sizeof pool, 42);
	return b;
}

static inline void *backend_open(const struct be *b, const char *dir, size_t n, unsigned batch)
{
	struct beopt options = {.n = n, .batch = batch};
	void *h = b->open(dir, &options);

	if (!h)
		errx(1, "%s: open failed", b->name);
	return h;
}

static inline void backend_close(const struct be *b, void *h)
{
	if (b->close(h))
		errx(1, "%s: close failed", b->name);
}

/* Run fn(arg) in a child; the program ends if it fails. */
static inline void in_child(void (*fn)(void *), void *arg, const char *what)
{
	int st;
	pid_t p = fork();
	if (!p) {
		fn(arg);
		exit(0);
	}
	if (p < 0 || waitpid(p, &st, 0) != p || st)
		errx(1, "%s failed", what);
}

#endif
