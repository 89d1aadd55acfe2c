/* chunking - see chunking.h */
#include "smtp/chunking.h"

#include <stdio.h>
#include <string.h>

#define COMMAND_ROOM 48	/* octets: "BDAT ", 20 digits, " LAST", CRLF, NUL */

enum content_way
chunking_choose(const struct capabilities *capabilities, bool lmtp, uint64_t length)
{
	if (!capabilities->chunking || lmtp)
		return CONTENT_BY_DATA;
	return capabilities->pipelining || length <= CONTENT_BLOCK ? CONTENT_BY_CHUNKS : CONTENT_BY_DATA;
}

/* The command stands in front of content whose length is known only afterwards: it is put between. */
int
chunking_append(struct content_stream *stream, struct buffer *out, struct error *error)
{
	char command[COMMAND_ROOM];
	size_t begin = out->length;
	int more = content_stream_next(stream, out, error);
	size_t length = out->length - begin, command_length;

	if (more == -1)
		return -1;
	command_length = (size_t)snprintf(command, sizeof(command), "BDAT %zu%s\r\n", length, more == 0 ? " LAST" : "");
	buffer_append(out, command, command_length);
	memmove(out->data + begin + command_length, out->data + begin, length);
	memcpy(out->data + begin, command, command_length);
	return more;
}
