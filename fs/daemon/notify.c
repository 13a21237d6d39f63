/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * notify.c - see notify.h.
 */
#include "fs/daemon/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int notify_send(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int rc = 1;

	if (!path || !*path)
		return 0;
	size_t size = strlen(path);
	/* '@' stands for the NUL of a name that is in no file system */
	if ((*path != '/' && *path != '@') || size < 2 || size > sizeof address.sun_path - 1)
		return -EINVAL;
	memcpy(address.sun_path, path, size);
	if (*path == '@')
		address.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* the length tells where an abstract name ends; one with a NUL would be another */
	socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, length) < 0)
		rc = -errno;
	(void)close(fd); /* nothing is buffered in it */
	return rc;
}
