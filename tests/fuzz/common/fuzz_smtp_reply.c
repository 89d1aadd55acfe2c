/* fuzz_smtp_reply - replies of hostile servers, in pieces of every size: bounded, and the same however they are cut */
#include <assert.h>
#include <string.h>

#include "common/net/smtp_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum smtp_reply_progress
read_in_pieces(struct smtp_reply *reply, const char *data, size_t size, size_t piece, size_t *total_out)
{
	enum smtp_reply_progress progress = SMTP_REPLY_UNFINISHED;
	size_t consumed;

	*total_out = 0;
	while (progress == SMTP_REPLY_UNFINISHED && *total_out < size) {
		size_t length = size - *total_out < piece ? size - *total_out : piece;

		progress = smtp_reply_read(reply, data + *total_out, length, &consumed);
		assert(consumed <= length);
		*total_out += consumed;
	}
	return progress;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_reply whole, pieces;
	size_t whole_total, pieces_total;
	enum smtp_reply_progress progress;

	if (size < 1)
		return 0;
	smtp_reply_init(&whole);
	smtp_reply_init(&pieces);
	progress = read_in_pieces(&whole, (const char *)data + 1, size - 1, size, &whole_total);
	assert(progress == read_in_pieces(&pieces, (const char *)data + 1, size - 1, data[0] % 7 + 1, &pieces_total));
	assert(whole_total == pieces_total);
	assert(whole.line_count <= SMTP_REPLY_LINES_MAX && whole.lines.length <= SMTP_REPLY_TOTAL_MAX);
	if (progress == SMTP_REPLY_COMPLETE) {
		assert(whole.code >= 200 && whole.code <= 599 && whole.line_count > 0);
		assert(strcmp(smtp_reply_last_line(&whole), smtp_reply_line(&whole, whole.line_count - 1)) == 0);
		assert(strpbrk(smtp_reply_last_line(&whole), "\r\n") == NULL);
	}
	smtp_reply_free(&whole);
	smtp_reply_free(&pieces);
	return 0;
}
