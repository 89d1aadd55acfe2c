/* mime_header - see mime_header.h */
#include "smtp/mime_header.h"

#include <string.h>
#include <strings.h>

#include "common/mail/header_field.h"

#define VALUE_MAX 2000	/* octets of a field that are looked at */

static const char *
skip_blanks(const char *text)
{
	return text + strspn(text, " \t");
}

/* Behind a value that is a token or in quotes, which goes to out; NULL when it is neither, or too long. */
static const char *
take_value(const char *text, char *out, size_t size)
{
	bool quoted = *text == '"';
	size_t length = 0;

	for (text += quoted; *text != '\0' && (quoted ? *text != '"' : strchr(" \t;()<>@,\"", *text) == NULL); text++) {
		if (quoted && *text == '\\' && *++text == '\0')
			return NULL;
		if (length + 1 >= size)
			return NULL;
		out[length++] = *text;
	}
	out[length] = '\0';
	return length == 0 || (quoted && *text != '"') ? NULL : text + quoted;
}

/* Finds the parameter boundary behind type and subtype. False when there is none, or what is before it is malformed. */
static bool
find_boundary(const char *text, char boundary[static MIME_BOUNDARY_MAX + 1])
{
	char value[VALUE_MAX];

	while (*(text = skip_blanks(text)) == ';') {
		size_t length;
		bool wanted;

		text = skip_blanks(text + 1);
		length = strcspn(text, "= \t;");
		wanted = length == 8 && strncasecmp(text, "boundary", length) == 0;
		text = skip_blanks(text + length);
		if (*text != '=')
			continue;
		text = skip_blanks(text + 1);
		text = wanted ? take_value(text, boundary, MIME_BOUNDARY_MAX + 1) : take_value(text, value, sizeof(value));
		if (text == NULL || wanted)
			return text != NULL;
	}
	return false;
}

static void
read_type(const char *value, struct mime_header *out)
{
	size_t length = strcspn(value, " \t;(");

	out->has_type = true;
	if (length > 10 && strncasecmp(value, "multipart/", 10) == 0) {
		bool sealed = (length == 16 && strncasecmp(value + 10, "signed", 6) == 0) ||
		    (length == 19 && strncasecmp(value + 10, "encrypted", 9) == 0);

		out->kind = !sealed && find_boundary(value + length, out->boundary) ? MIME_MULTIPART : MIME_FIXED;
		out->digest = length == 16 && strncasecmp(value + 10, "digest", 6) == 0;
	} else if (length == 14 && strncasecmp(value, "message/rfc822", 14) == 0) {
		out->kind = MIME_MESSAGE;
	} else if (strncasecmp(value, "message/", 8) == 0 || memchr(value, '/', length) == NULL) {
		out->kind = MIME_FIXED;
	} else {
		out->kind = MIME_LEAF;
		out->text = strncasecmp(value, "text/", 5) == 0;
	}
}

static void
read_encoding(const char *value, struct mime_header *out)
{
	size_t length = strcspn(value, " \t;(");

	out->labelled_8bit = (length == 4 && strncasecmp(value, "8bit", 4) == 0) ||
	    (length == 6 && strncasecmp(value, "binary", 6) == 0);
	out->identity = out->labelled_8bit || (length == 4 && strncasecmp(value, "7bit", 4) == 0);
}

void
mime_header_read(const char *header, size_t length, bool in_digest, struct mime_header *out)
{
	struct header_field field;
	bool has_encoding = false, contradicts = false;
	size_t offset = 0;

	*out = (struct mime_header){ .kind = in_digest ? MIME_MESSAGE : MIME_LEAF, .text = !in_digest, .identity = true };
	while (!contradicts && header_field_next(header, length, &offset, &field)) {
		char value[VALUE_MAX];

		header_field_text(&field, value, sizeof(value));
		if (header_field_is(&field, "MIME-Version")) {
			out->has_version = true;
		} else if (header_field_is(&field, "Content-Type")) {
			contradicts = out->has_type;
			read_type(value, out);
		} else if (header_field_is(&field, "Content-Transfer-Encoding")) {
			contradicts = has_encoding;
			read_encoding(value, out);
			has_encoding = true;
		}
	}
	/* A line that is no field, or a field that contradicts another: who knows what others make of it. */
	if (contradicts || !out->identity || (offset < length && header[offset] != '\r' && header[offset] != '\n'))
		out->kind = MIME_FIXED;
}

void
mime_header_append(const char *header, size_t length, const struct mime_header *read, const char *encoding,
    bool complete, struct buffer *out)
{
	struct header_field field;
	size_t offset = 0, begin = 0;

	for (; header_field_next(header, length, &offset, &field); begin = offset)
		if (!header_field_is(&field, "Content-Transfer-Encoding"))
			buffer_append(out, header + begin, offset - begin);
	if (complete && !read->has_version)
		buffer_append_string(out, "MIME-Version: 1.0\r\n");
	if (complete && !read->has_type)
		buffer_append_string(out, "Content-Type: text/plain; charset=unknown-8bit\r\n");
	buffer_printf(out, "Content-Transfer-Encoding: %s\r\n", encoding);
	buffer_append(out, header + offset, length - offset);
}
