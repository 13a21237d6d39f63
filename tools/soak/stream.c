/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * stream.c - see stream.h.
 */
#include "tools/soak/stream.h"

#include <stdlib.h>

#include "tools/soak/say.h"

void stream_add(struct stream *stream, struct dw_bytes key, struct dw_bytes payload)
{
	/* the room doubles at each power of two */
	if (!(stream->count & (stream->count - 1))) {
		size_t room = stream->count ? 2 * stream->count : 1;
		struct record *more = reallocarray(stream->records, room, sizeof *stream->records);
		if (!more)
			soak_out_of_memory();
		stream->records = more;
	}
	stream->records[stream->count++] = (struct record){key, payload, NULL};
}

void streams_release(struct stream streams[STREAMS])
{
	for (int i = 0; i < STREAMS; i++) {
		for (size_t j = 0; j < streams[i].count; j++) {
			free((void *)streams[i].records[j].key.data);
			free((void *)streams[i].records[j].payload.data);
		}
		free(streams[i].records);
		streams[i] = (struct stream){NULL, NULL, 0};
	}
}
