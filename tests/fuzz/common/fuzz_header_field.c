/* fuzz_header_field - any octets as a header: reading ends, and what is written from it is lawful */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/mail/header_field.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_lines(const struct buffer *out)
{
	for (const char *line = buffer_text(out); *line != '\0';) {
		const char *end = strstr(line, "\r\n");

		if (end == NULL || end - line > HEADER_LINE_MAX)
			abort();
		for (const char *c = line; c < end; c++)
			if ((unsigned char)*c < ' ')
				abort();
		line = end + 2;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct header_field field;
	size_t offset = 0, before = 0;

	while (header_field_next((const char *)data, size, &offset, &field)) {
		struct buffer out = BUFFER_INITIALIZER(0);
		char text[3000];

		if (offset <= before || offset > size)
			abort();
		before = offset;
		header_field_text(&field, text, sizeof(text));
		if (!header_field_append(&out, "X-Copy", text))
			abort();
		check_lines(&out);
		buffer_free(&out);
	}
	return 0;
}
