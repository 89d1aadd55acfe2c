/* quoted_printable - see quoted_printable.h */
#include "smtp/quoted_printable.h"

#define COLUMN_MAX 75	/* RFC 2045 6.7 (5): 76 with the '=' of a soft line break */

void
quoted_printable_init(struct quoted_printable *encoder, bool text)
{
	*encoder = (struct quoted_printable){ .text = text };
}

static void
make_room(struct quoted_printable *encoder, size_t length, struct buffer *out)
{
	if (encoder->column + length > COLUMN_MAX) {
		buffer_append(out, "=\r\n", 3);
		encoder->column = 0;
	}
	encoder->column += length;
}

static void
put_plain(struct quoted_printable *encoder, char octet, struct buffer *out)
{
	make_room(encoder, 1, out);
	buffer_append_byte(out, octet);
}

static void
put_encoded(struct quoted_printable *encoder, char octet, struct buffer *out)
{
	static const char digits[] = "0123456789ABCDEF";
	const char code[3] = { '=', digits[(unsigned char)octet >> 4], digits[(unsigned char)octet & 15] };

	make_room(encoder, sizeof(code), out);
	buffer_append(out, code, sizeof(code));
}

static void
put_line_end_as_content(struct quoted_printable *encoder, struct buffer *out)
{
	encoder->line_ended = false;
	put_encoded(encoder, '\r', out);
	put_encoded(encoder, '\n', out);
}

/* A line may not begin with '-': a soft line break must not make a delimiter of a multipart out of content. */
static void
put_octet(struct quoted_printable *encoder, char octet, struct buffer *out)
{
	bool begins = encoder->column == 0 || encoder->column == COLUMN_MAX;

	if (octet >= ' ' && octet <= '~' && octet != '=' && !(octet == '-' && begins))
		put_plain(encoder, octet, out);
	else
		put_encoded(encoder, octet, out);
}

void
quoted_printable_put(struct quoted_printable *encoder, const char *octets, size_t length, struct buffer *out)
{
	size_t i;

	if (encoder->line_ended)
		put_line_end_as_content(encoder, out);
	for (i = 0; i < length; i++) {
		char octet = octets[i];

		if (encoder->held != '\0')
			put_plain(encoder, encoder->held, out);
		encoder->held = '\0';
		if (octet == ' ' || octet == '\t')
			encoder->held = octet;
		else
			put_octet(encoder, octet, out);
	}
}

static void
release_held(struct quoted_printable *encoder, struct buffer *out)
{
	if (encoder->held != '\0')
		put_encoded(encoder, encoder->held, out);
	encoder->held = '\0';
}

void
quoted_printable_end_line(struct quoted_printable *encoder, struct buffer *out)
{
	if (encoder->line_ended)
		put_line_end_as_content(encoder, out);
	release_held(encoder, out);
	if (!encoder->text) {
		encoder->line_ended = true;
		return;
	}
	buffer_append(out, "\r\n", 2);
	encoder->column = 0;
}

void
quoted_printable_finish(struct quoted_printable *encoder, struct buffer *out)
{
	release_held(encoder, out);
	if (encoder->line_ended)
		buffer_append(out, "\r\n", 2);
	quoted_printable_init(encoder, encoder->text);
}
