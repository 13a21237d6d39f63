/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * odd_direct.c - writes past the kernel's pages (O_DIRECT) whose caller does not wait for
 * them, while another process reads the file through the pages.
 *
 * Reads put pages into the kernel's cache at any moment of such a write.  Once it is done,
 * and its file was closed, none of them may show what was there before.  The system calls
 * are made by hand: no library is needed for two of each.
 */
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "tests/mount/odd.h"

enum { SIZE = 640 << 10, PIECE = 64 << 10, PIECES = SIZE / PIECE, ROUNDS = 60 };

/* One asynchronous way to write: all pieces of `bytes` at once, and waiting for all. */
struct way {
	void (*begin)(void);
	void (*write)(int fd, const char *bytes);
	void (*end)(void);
};

/* --- io_submit(2) --- */

static aio_context_t aio;

static void aio_begin(void)
{
	aio = 0;
	MUST(!syscall(SYS_io_setup, PIECES, &aio));
}

static void aio_write_all(int fd, const char *bytes)
{
	struct iocb blocks[PIECES], *list[PIECES];
	struct io_event events[PIECES];

	memset(blocks, 0, sizeof blocks);
	for (int i = 0; i < PIECES; i++) {
		list[i] = &blocks[i];
		blocks[i].aio_lio_opcode = IOCB_CMD_PWRITE;
		blocks[i].aio_fildes = (uint32_t)fd;
		blocks[i].aio_buf = (uintptr_t)(bytes + (size_t)i * PIECE);
		blocks[i].aio_nbytes = PIECE;
		blocks[i].aio_offset = (int64_t)i * PIECE;
	}
	for (int done = 0; done < PIECES;) {
		long n = syscall(SYS_io_submit, aio, PIECES - done, list + done);
		MUST(n > 0);
		done += (int)n;
	}
	MUST(syscall(SYS_io_getevents, aio, PIECES, PIECES, events, NULL) == PIECES);
	for (int i = 0; i < PIECES; i++)
		MUST(events[i].res == PIECE);
}

static void aio_end(void)
{
	MUST(!syscall(SYS_io_destroy, aio));
}

/* --- io_uring(7) --- */

static struct {
	struct io_uring_params params;
	int fd;
	size_t size; /* of the mapping of both rings */
	char *rings;
	struct io_uring_sqe *entries;
} uring;

static void uring_begin(void)
{
	memset(&uring.params, 0, sizeof uring.params);
	uring.fd = (int)syscall(SYS_io_uring_setup, 2 * PIECES, &uring.params);
	MUST(uring.fd >= 0);
	MUST(uring.params.features & IORING_FEAT_SINGLE_MMAP);
	uring.size =
		uring.params.cq_off.cqes + uring.params.cq_entries * sizeof(struct io_uring_cqe);
	uring.rings = mmap(NULL, uring.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			   uring.fd, IORING_OFF_SQ_RING);
	uring.entries =
		mmap(NULL, uring.params.sq_entries * sizeof *uring.entries, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_POPULATE, uring.fd, IORING_OFF_SQES);
	MUST(uring.rings != MAP_FAILED && uring.entries != MAP_FAILED);
}

static uint32_t *ring_at(uint32_t offset)
{
	return (uint32_t *)(void *)(uring.rings + offset);
}

static void uring_write_all(int fd, const char *bytes)
{
	const struct io_sqring_offsets *sq = &uring.params.sq_off;
	const struct io_cqring_offsets *cq = &uring.params.cq_off;
	const struct io_uring_cqe *done = (const void *)(uring.rings + cq->cqes);
	uint32_t tail = *ring_at(sq->tail), head = *ring_at(cq->head);

	for (uint32_t i = 0; i < PIECES; i++, tail++) {
		uint32_t at = tail & *ring_at(sq->ring_mask);
		uring.entries[at] = (struct io_uring_sqe){
			.opcode = IORING_OP_WRITE,
			.fd = fd,
			.addr = (uintptr_t)(bytes + (size_t)i * PIECE),
			.len = PIECE,
			.off = (uint64_t)i * PIECE,
		};
		ring_at(sq->array)[at] = at;
	}
	__atomic_store_n(ring_at(sq->tail), tail, __ATOMIC_RELEASE);
	MUST(syscall(SYS_io_uring_enter, uring.fd, PIECES, PIECES, IORING_ENTER_GETEVENTS, NULL,
		     0) == PIECES);
	MUST(__atomic_load_n(ring_at(cq->tail), __ATOMIC_ACQUIRE) - head == PIECES);
	for (int i = 0; i < PIECES; i++, head++)
		MUST(done[head & *ring_at(cq->ring_mask)].res == PIECE);
	__atomic_store_n(ring_at(cq->head), head, __ATOMIC_RELEASE);
}

static void uring_end(void)
{
	MUST(!munmap(uring.entries, uring.params.sq_entries * sizeof *uring.entries));
	MUST(!munmap(uring.rings, uring.size) && !close(uring.fd));
}

/* --- the test --- */

/* Another process that fills the kernel's cache, until it is killed. */
static pid_t start_reader(const char *name)
{
	pid_t pid = odd_fork();
	char *got;

	if (pid)
		return pid;
	MUST(!prctl(PR_SET_PDEATHSIG, SIGKILL)); /* a writer that fails leaves no process */
	got = malloc(SIZE);
	MUST(got != NULL);
	for (;;) {
		int fd = odd_open(name, O_RDONLY);
		MUST(pread(fd, got, SIZE, 0) == SIZE && !close(fd));
	}
}

static void stop_reader(pid_t pid)
{
	MUST(!kill(pid, SIGKILL) && waitpid(pid, NULL, 0) == pid);
}

/* A byte that is changed through a mapping takes its page along. */
static void change_by_mapping(const char *name, char *bytes)
{
	int fd = odd_open(name, O_RDWR);
	char *map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	MUST(map != MAP_FAILED);
	for (size_t at = 5; at < SIZE; at += PIECE)
		map[at] = bytes[at] = 'm';
	MUST(!msync(map, SIZE, MS_SYNC) && !munmap(map, SIZE) && !close(fd));
}

static void write_beside_reader(const struct way *way, const char *name, int flags)
{
	char *bytes = NULL;

	MUST(!posix_memalign((void **)&bytes, 4096, SIZE));
	memset(bytes, '0', SIZE);
	odd_write(name, bytes, SIZE);
	pid_t reader = start_reader(name);
	way->begin();
	for (int round = 0; round < ROUNDS; round++) {
		memset(bytes, 'a' + round % 26, SIZE);
		int fd = odd_open(name, flags | O_DIRECT);
		way->write(fd, bytes);
		MUST(!fsync(fd) && !close(fd));
		odd_expect_file(name, bytes, SIZE);
	}
	way->end();
	stop_reader(reader);
	odd_expect_file(name, bytes, SIZE);
	change_by_mapping(name, bytes);
	odd_expect_file(name, bytes, SIZE);
	free(bytes);
}

static void test_aio(void)
{
	const struct way way = {aio_begin, aio_write_all, aio_end};

	write_beside_reader(&way, "aio-both", O_RDWR);
	write_beside_reader(&way, "aio-write-only", O_WRONLY);
}

static void test_uring(void)
{
	const struct way way = {uring_begin, uring_write_all, uring_end};

	write_beside_reader(&way, "uring-both", O_RDWR);
	write_beside_reader(&way, "uring-write-only", O_WRONLY);
}

/* Whether the kernel lets this process have a ring; seccomp and a sysctl may forbid it. */
static void test_uring_allowed(void)
{
	uring_begin();
	uring_end();
}

int main(int argc, char **argv)
{
	static const struct odd_test tests[] = {
		{"aio", test_aio},
		{"uring", test_uring},
		{"uring-allowed", test_uring_allowed},
		{NULL, NULL},
	};
	return odd_main(argc, argv, tests);
}
