/* fuzz_log_format - any octets as a value of an event: a line stays one line, and its value is read back whole */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/log/log.h"
#include "common/base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Text between quotes ends at the first quotation mark without a backslash: that must be the end of the line. */
static void
check_quoting(const char *quoted)
{
	size_t i;

	for (i = 1; quoted[i] != '"'; i++) {
		if (quoted[i] == '\\')
			i++;
		if (quoted[i] == '\0')
			abort();
	}
	if (quoted[i + 1] != '\0')
		abort();
}

static void
check_line(const struct buffer *line)
{
	size_t i;

	if (strlen(buffer_text(line)) != line->length || !utf8_is_valid(line->data, line->length))
		abort();
	for (i = 0; i < line->length; i++)
		if ((unsigned char)line->data[i] < 0x20 || line->data[i] == 0x7f)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer line = BUFFER_INITIALIZER(0);
	char *value = memory_copy(data, size);
	const char *shown;

	log_format_text(&line, LOG_NOTE, LOG_VALUES(value), 1);
	check_line(&line);
	shown = line.data + strlen("note text=");
	if (*shown == '"')
		check_quoting(shown);
	else if (strcmp(shown, value) != 0 || strpbrk(shown, " \"\\") != NULL)
		abort();

	buffer_clear(&line);
	log_format_json(&line, LOG_NOTE, LOG_VALUES(value), 1, "smtpd", 1, 0);
	check_line(&line);
	line.data[--line.length] = '\0';
	check_quoting(strstr(line.data, "\"text\":") + strlen("\"text\":"));
	buffer_free(&line);
	free(value);
	return 0;
}
