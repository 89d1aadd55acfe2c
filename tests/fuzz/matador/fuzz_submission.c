/* fuzz_submission - any octets on the standard input of sendmail become a message that SMTP can carry, or are refused */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "master/matador/submission.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_lines(const struct buffer *content)
{
	for (size_t i = 0; i < content->length; i++) {
		char octet = content->data[i];

		if (octet == '\0' || (octet == '\r' && (i + 1 == content->length || content->data[i + 1] != '\n')) ||
		    (octet == '\n' && (i == 0 || content->data[i - 1] != '\r')))
			abort();
	}
}

/* CRLF.CRLF stands at the end and nowhere else. */
static void
check_end(const struct buffer *stuffed)
{
	static const char end[] = "\r\n.\r\n";
	const char *found = memmem(stuffed->data, stuffed->length, end, sizeof(end) - 1);

	if (found != NULL && found != stuffed->data + stuffed->length - (sizeof(end) - 1))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct submission_defaults defaults = { .host = "hub.example", .sender = "a@hub.example",
		.full_name = "A" };
	struct error error = ERROR_INITIALIZER;
	struct submission submission;
	struct buffer stuffed = BUFFER_INITIALIZER(0);

	submission_init(&submission);
	if (submission_read(&submission, (const char *)data, size, size % 2 == 0, &error) == 0) {
		submission_add_header_recipients(&submission, &error);
		submission_complete(&submission, &defaults);
		check_lines(&submission.message);
		submission_stuff(&submission, &stuffed);
		check_end(&stuffed);
	}
	buffer_free(&stuffed);
	submission_free(&submission);
	return 0;
}
