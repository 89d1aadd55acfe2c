/* fuzz_report - hostile headers, replies and addresses: the report stays lawful and its parts stay apart */
#include <stdint.h>

#include "common/base/memory.h"
#include "common/mail/header_field.h"
#include "router/report.h"
#include "tests/unit/router/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct world world;

static void
check_lines(const struct buffer *content, bool utf8)
{
	size_t column = 0;

	for (size_t i = 0; i < content->length; i++) {
		unsigned char c = (unsigned char)content->data[i];

		if (c == '\r') {
			if (content->data[++i] != '\n' || column > HEADER_LINE_MAX)
				abort();
			column = 0;
			continue;
		}
		if (c < ' ' || c == 127 || (c >= 128 && !utf8))
			abort();
		column++;
	}
	if (column != 0 || content->length > 2 * REPORT_CONTENT_MAX)
		abort();
}

/* Three parts, whatever came in. */
static void
check_parts(const struct buffer *content)
{
	/* The field begins a line: a text of the input that looks the same cannot. */
	const char *field = strstr(content->data, "\r\nContent-Type: multipart/report;");
	const char *at = field == NULL ? NULL : strstr(field, "boundary=\"");
	char boundary[60];
	int count = 0;

	if (at == NULL)
		abort();
	snprintf(boundary, sizeof(boundary), "\r\n--%.*s", (int)strcspn(at + 10, "\""), at + 10);
	for (at = content->data; (at = strstr(at, boundary)) != NULL; at++)
		count++;
	if (count != 4)
		abort();
}

/* The text up to the next NUL of the input; what is used is taken off. */
static char *
next_text(const uint8_t **data, size_t *size)
{
	size_t length = strnlen((const char *)*data, *size);
	char *text = memory_copy(*data, length);

	length += length < *size;
	*data += length;
	*size -= length;
	return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct envelope original, report;
	struct envelope_recipient *recipient;
	struct buffer content = BUFFER_INITIALIZER(0);
	enum report_kind kind;

	if (world.read == NULL)
		world_begin(&world);
	if (size < 3)
		return 0;
	kind = (enum report_kind)(data[0] % 3);
	envelope_init(&original);
	original.smtputf8 = data[1] & 1;
	original.sender = memory_copy_string("jane@acme.com");
	data += 2;
	size -= 2;
	recipient = envelope_add_recipient(&original, "");
	free(recipient->address);
	recipient->notify = NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY;
	recipient->failure = FAILURE_TRANSFER;
	recipient->address = next_text(&data, &size);
	recipient->reason = next_text(&data, &size);
	recipient->status = next_text(&data, &size);
	recipient->remote_host = next_text(&data, &size);
	recipient->original = next_text(&data, &size);
	original.envid = next_text(&data, &size);
	if (!report_write(&world.settings, kind, &original, (const char *)data, size, 0, &report, &content))
		abort();
	check_lines(&content, original.smtputf8);
	check_parts(&content);
	envelope_free(&original);
	envelope_free(&report);
	buffer_free(&content);
	return 0;
}
