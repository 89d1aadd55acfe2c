/*
 * fuzz_downgrade_mime - messages of any structure: what is converted has no 8-bit octets in its body, is the same however it is
 * cut into blocks, and nothing is left in it to convert
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "smtp/downgrade_mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Appends the converted message to out. False when it cannot be converted. */
static bool
convert(const char *message, size_t length, size_t block, struct buffer *out)
{
	struct downgrade *downgrade = downgrade_new();
	bool possible;
	size_t offset;

	for (offset = 0; offset < length; offset += block)
		downgrade_survey(downgrade, message + offset, length - offset < block ? length - offset : block);
	possible = downgrade_survey_end(downgrade);
	for (offset = 0; possible && offset < length; offset += block)
		downgrade_rewrite(downgrade, message + offset, length - offset < block ? length - offset : block, out);
	if (possible)
		downgrade_rewrite_end(downgrade, out);
	downgrade_free(&downgrade);
	return possible;
}

/* Behind the empty line that ends the header. */
static size_t
body_offset(const char *message, size_t length)
{
	size_t line = 0, i;

	for (i = 0; i < length; i++) {
		if (message[i] != '\n')
			continue;
		if (i == line || (i == line + 1 && message[line] == '\r'))
			return i + 1;
		line = i + 1;
	}
	return length;
}

static bool
same(const struct buffer *a, const struct buffer *b)
{
	return a->length == b->length && memcmp(buffer_text(a), buffer_text(b), a->length) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer once = BUFFER_INITIALIZER(0), in_pieces = BUFFER_INITIALIZER(0), twice = BUFFER_INITIALIZER(0);
	const char *message = (const char *)data + 1;
	size_t i;

	if (size < 1)
		return 0;
	if (convert(message, size - 1, size, &once)) {
		assert(convert(message, size - 1, 1 + data[0] % 100, &in_pieces) && same(&once, &in_pieces));
		for (i = body_offset(buffer_text(&once), once.length); i < once.length; i++)
			assert((unsigned char)once.data[i] < 128);
		assert(convert(buffer_text(&once), once.length, size, &twice) && same(&once, &twice));
	} else {
		assert(!convert(message, size - 1, 1 + data[0] % 100, &in_pieces));
	}
	buffer_free(&once);
	buffer_free(&in_pieces);
	buffer_free(&twice);
	return 0;
}
