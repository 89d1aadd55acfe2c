/* terminal_text - see terminal_text.h */
#include "master/matador/terminal_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/utf8.h"

/* Octets of the UTF-8 character at text; 0 when there is none, or it is a control: U+0080 to U+009F are some, too. */
static size_t
shown_length(const char *text)
{
	const unsigned char *octets = (const unsigned char *)text;

	if (octets[0] < ' ' || octets[0] == 0x7f || (octets[0] == 0xc2 && octets[1] < 0xa0))
		return 0;
	for (size_t length = 1; length <= 4 && text[length - 1] != '\0'; length++)
		if (utf8_is_valid(text, length))
			return length;
	return 0;
}

void
terminal_clean(char *text)
{
	while (*text != '\0') {
		size_t length = shown_length(text);

		if (length == 0)
			*text++ = '?';
		text += length;
	}
}

void
terminal_append(struct buffer *out, const char *text)
{
	char *clean = memory_copy_string(text);

	terminal_clean(clean);
	buffer_append_string(out, clean);
	free(clean);
}

void
terminal_append_column(struct buffer *out, const char *text, size_t width)
{
	terminal_append(out, text);
	for (size_t length = strlen(text); length < width; length++)
		buffer_append_byte(out, ' ');
}

void
terminal_append_fact(struct buffer *out, const char *name, const char *value)
{
	if (value == NULL || value[0] == '\0')
		return;
	buffer_printf(out, "  %-10s ", name);
	terminal_append(out, value);
	buffer_append_byte(out, '\n');
}

void
terminal_format_place(const char *file, uint32_t line, char *place, size_t size)
{
	if (line != 0)
		snprintf(place, size, "%s:%u", file, (unsigned)line);
	else
		snprintf(place, size, "%s", file[0] == '\0' ? "-" : file);
}
