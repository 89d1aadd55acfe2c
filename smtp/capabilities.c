/* capabilities - see capabilities.h */
#include "smtp/capabilities.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool
is_keyword(const char *line, size_t length, const char *keyword)
{
	return length == strlen(keyword) && strncasecmp(line, keyword, length) == 0;
}

/* "SIZE" or "SIZE number"; a number that is none, or beyond 64 bits, names no limit. */
static void
read_size(const char *text, struct capabilities *capabilities)
{
	char *end;

	capabilities->size = true;
	text += strspn(text, " ");
	errno = 0;
	capabilities->size_limit = strspn(text, "0123456789") > 0 ? strtoull(text, &end, 10) : 0;
	if (capabilities->size_limit > 0 && (errno != 0 || (*end != '\0' && *end != ' ')))
		capabilities->size_limit = 0;
}

void
capabilities_read(const struct smtp_reply *reply, struct capabilities *capabilities_out)
{
	const char *line = smtp_reply_line(reply, 0);
	unsigned i;

	memset(capabilities_out, 0, sizeof(*capabilities_out));
	for (i = 1; i < reply->line_count; i++) {
		size_t length;

		line += strlen(line) + 1;
		length = strcspn(line, " ");
		if (is_keyword(line, length, "PIPELINING"))
			capabilities_out->pipelining = true;
		else if (is_keyword(line, length, "SIZE"))
			read_size(line + length, capabilities_out);
		else if (is_keyword(line, length, "8BITMIME"))
			capabilities_out->eight_bit_mime = true;
		else if (is_keyword(line, length, "SMTPUTF8"))
			capabilities_out->smtputf8 = true;
		else if (is_keyword(line, length, "DSN"))
			capabilities_out->dsn = true;
		else if (is_keyword(line, length, "CHUNKING"))
			capabilities_out->chunking = true;
	}
}
