/*
 * fuzz_content - data ends at the first CRLF.CRLF and nowhere else, however it is cut, and flawless content has
 * only CRLF
 *
 * The first octet says how the rest is cut.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "smtpd/content.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Where the data ends, found the simple way; 0: it does not. */
static size_t
true_end(const char *text, size_t length)
{
	if (length >= 3 && memcmp(text, ".\r\n", 3) == 0)
		return 3;
	for (size_t i = 0; i + 5 <= length; i++)
		if (memcmp(text + i, "\r\n.\r\n", 5) == 0)
			return i + 5;
	return 0;
}

static void
check_kept(const struct buffer *out)
{
	for (size_t i = 0; i < out->length; i++) {
		bool cr_before = i > 0 && out->data[i - 1] == '\r';

		if (out->data[i] == '\0' || (out->data[i] == '\n') != cr_before)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer out = BUFFER_INITIALIZER(0);
	struct content content;
	const char *text = (const char *)data + 1;
	size_t piece, at = 0;
	bool ended = false, kept;

	if (size < 1)
		return 0;
	piece = (size_t)data[0] + 1;
	size--;
	content_init(&content, true, 65536);
	while (at < size && !ended) {
		size_t offered = size - at < piece ? size - at : piece;

		at += content_take(&content, text + at, offered, &out, NULL, &ended, &kept);
	}
	if (ended ? at != true_end(text, size) : true_end(text, size) != 0)
		abort();
	if (ended && content.flaw == CONTENT_FLAWLESS)
		check_kept(&out);
	buffer_free(&out);
	return 0;
}
