/* downgrade_mime - see downgrade_mime.h */
#include "smtp/downgrade_mime.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "smtp/mime_header.h"
#include "smtp/quoted_printable.h"

#define DEPTH_MAX 20		/* multiparts inside one another */
#define LEAVES_MAX 10000
#define HEADER_MAX 262144	/* octets of one header */
#define PIECE_MAX 1024		/* octets of a line that are looked at together; longer than any delimiter */

enum place {
	PLACE_HEADER,
	PLACE_LEAF,
	PLACE_BETWEEN,	/* before the first part of a multipart, or behind its last one */
};

struct level {
	char boundary[MIME_BOUNDARY_MAX + 1];
	bool digest;
};

struct downgrade {
	bool rewriting;
	bool impossible;	/* found by the survey */
	enum place place;
	struct buffer header;	/* of the entity that begins */
	bool whole_message;	/* and that is the header of a message, not that of a part */
	bool inside;		/* of another: not the header of the message itself */
	struct level levels[DEPTH_MAX];
	size_t depth;
	struct buffer leaves;	/* found by the survey: one octet a leaf, 1: has 8-bit octets */
	size_t leaf;		/* the number of the one that is next or, in PLACE_LEAF, was just begun, plus one */
	bool leaf_fixed;
	bool encoding;
	struct quoted_printable encoder;
	struct buffer piece;	/* the line that is being collected */
	bool inside_line;	/* its beginning was handled already */
	struct buffer *out;	/* borrowed while rewriting */
};

struct downgrade *
downgrade_new(void)
{
	struct downgrade *downgrade = memory_new(1, sizeof(*downgrade));

	buffer_init(&downgrade->header, HEADER_MAX);
	buffer_init(&downgrade->leaves, LEAVES_MAX);
	buffer_init(&downgrade->piece, PIECE_MAX);
	downgrade->whole_message = true;
	return downgrade;
}

void
downgrade_free(struct downgrade **downgrade)
{
	if (*downgrade == NULL)
		return;
	buffer_free(&(*downgrade)->header);
	buffer_free(&(*downgrade)->leaves);
	buffer_free(&(*downgrade)->piece);
	free(*downgrade);
	*downgrade = NULL;
}

static bool
has_8bit(const char *octets, size_t length)
{
	while (length-- > 0)
		if ((unsigned char)*octets++ > 127)
			return true;
	return false;
}

static void
copy(struct downgrade *downgrade, const char *octets, size_t length)
{
	if (downgrade->rewriting)
		buffer_append(downgrade->out, octets, length);
}

/* ---- headers ---------------------------------------------------------------------------------- */

static void
begin_header(struct downgrade *downgrade, bool whole_message)
{
	downgrade->place = PLACE_HEADER;
	downgrade->whole_message = whole_message;
	downgrade->inside = true;
}

static void
begin_leaf(struct downgrade *downgrade, const struct mime_header *header)
{
	downgrade->place = PLACE_LEAF;
	downgrade->leaf_fixed = header->kind == MIME_FIXED;
	downgrade->encoding = false;
	if (downgrade->rewriting) {
		downgrade->encoding = downgrade->leaf < downgrade->leaves.length &&
		    downgrade->leaves.data[downgrade->leaf] != 0;
		quoted_printable_init(&downgrade->encoder, header->text);
	} else if (!buffer_append_byte(&downgrade->leaves, 0)) {
		downgrade->impossible = true;
	}
	downgrade->leaf += !downgrade->impossible;
}

static void
write_header(struct downgrade *downgrade, const struct mime_header *header)
{
	const char *octets = buffer_text(&downgrade->header);
	size_t length = downgrade->header.length;

	if (downgrade->encoding)
		mime_header_append(octets, length, header, "quoted-printable", downgrade->whole_message, downgrade->out);
	else if (header->labelled_8bit && header->kind != MIME_FIXED)
		mime_header_append(octets, length, header, "7bit", false, downgrade->out);
	else
		copy(downgrade, octets, length);
}

/* The empty line was reached: what follows is known now. */
static void
end_header(struct downgrade *downgrade)
{
	bool in_digest = !downgrade->whole_message && downgrade->depth > 0 &&
	    downgrade->levels[downgrade->depth - 1].digest, begins_message = false;
	struct mime_header header;

	mime_header_read(buffer_text(&downgrade->header), downgrade->header.length, in_digest, &header);
	if (header.kind == MIME_MULTIPART && downgrade->depth == DEPTH_MAX) {
		downgrade->impossible = true;
		header.kind = MIME_FIXED;
	}
	if (header.kind == MIME_MULTIPART) {
		struct level *level = &downgrade->levels[downgrade->depth++];

		memcpy(level->boundary, header.boundary, sizeof(level->boundary));
		level->digest = header.digest;
		downgrade->place = PLACE_BETWEEN;
	} else if (header.kind == MIME_MESSAGE) {
		begins_message = true;
	} else {
		begin_leaf(downgrade, &header);
	}
	if (downgrade->rewriting)
		write_header(downgrade, &header);
	buffer_clear(&downgrade->header);
	if (begins_message)
		begin_header(downgrade, true);
}

static void
take_header_line(struct downgrade *downgrade, const char *line, size_t length, bool empty)
{
	if (downgrade->inside && has_8bit(line, length))
		downgrade->impossible = true;
	/* Found by the survey: while rewriting every header fits. */
	if (!buffer_append(&downgrade->header, line, length)) {
		downgrade->impossible = true;
		buffer_clear(&downgrade->header);
	}
	if (empty)
		end_header(downgrade);
}

/* ---- bodies ----------------------------------------------------------------------------------- */

static size_t
line_end_length(const char *line, size_t length)
{
	if (length == 0 || line[length - 1] != '\n')
		return 0;
	return length > 1 && line[length - 2] == '\r' ? 2 : 1;
}

static void
take_leaf_piece(struct downgrade *downgrade, const char *piece, size_t length)
{
	size_t line_end = line_end_length(piece, length);

	if (downgrade->encoding) {
		quoted_printable_put(&downgrade->encoder, piece, length - line_end, downgrade->out);
		if (line_end > 0)
			quoted_printable_end_line(&downgrade->encoder, downgrade->out);
		return;
	}
	copy(downgrade, piece, length);
	if (downgrade->rewriting || downgrade->impossible || !has_8bit(piece, length))
		return;
	if (downgrade->leaf_fixed)
		downgrade->impossible = true;
	else
		downgrade->leaves.data[downgrade->leaf - 1] = 1;
}

static bool
is_blank_or_line_end(char octet)
{
	return octet == ' ' || octet == '\t' || octet == '\r' || octet == '\n';
}

/* The number of the level whose delimiter this line is, plus one; 0: none. The innermost one counts. */
static size_t
find_delimiter(const struct downgrade *downgrade, const char *line, size_t length, bool *closing_out)
{
	size_t level;

	if (length < 2 || line[0] != '-' || line[1] != '-')
		return 0;
	while (is_blank_or_line_end(line[length - 1]))
		length--;
	for (level = downgrade->depth; level > 0; level--) {
		const char *boundary = downgrade->levels[level - 1].boundary;
		size_t wanted = strlen(boundary);

		if (length < 2 + wanted || memcmp(line + 2, boundary, wanted) != 0)
			continue;
		*closing_out = length == 4 + wanted && memcmp(line + 2 + wanted, "--", 2) == 0;
		if (*closing_out || length == 2 + wanted)
			return level;
	}
	return 0;
}

static void
end_entity(struct downgrade *downgrade)
{
	if (downgrade->encoding)
		quoted_printable_finish(&downgrade->encoder, downgrade->out);
	/* A part may have no body, not even an empty line. */
	if (downgrade->place == PLACE_HEADER) {
		copy(downgrade, buffer_text(&downgrade->header), downgrade->header.length);
		buffer_clear(&downgrade->header);
	}
	downgrade->encoding = false;
	downgrade->place = PLACE_BETWEEN;
}

static void
take_delimiter(struct downgrade *downgrade, const char *line, size_t length, size_t level, bool closing)
{
	end_entity(downgrade);
	copy(downgrade, line, length);
	downgrade->depth = closing ? level - 1 : level;
	if (!closing)
		begin_header(downgrade, false);
}

/* A line, or a piece of one that is longer than all that has a meaning. */
static void
take_piece(struct downgrade *downgrade, const char *piece, size_t length)
{
	size_t line_end = line_end_length(piece, length), level = 0;
	bool begins = !downgrade->inside_line, closing = false;

	downgrade->inside_line = line_end == 0;
	if (begins)
		level = find_delimiter(downgrade, piece, length, &closing);
	if (level > 0) {
		take_delimiter(downgrade, piece, length, level, closing);
		return;
	}
	switch (downgrade->place) {
	case PLACE_HEADER:
		take_header_line(downgrade, piece, length, begins && line_end == length);
		break;
	case PLACE_LEAF:
		take_leaf_piece(downgrade, piece, length);
		break;
	case PLACE_BETWEEN:
		downgrade->impossible |= has_8bit(piece, length);
		copy(downgrade, piece, length);
		break;
	}
}

static void
take_collected(struct downgrade *downgrade)
{
	take_piece(downgrade, downgrade->piece.data, downgrade->piece.length);
	buffer_clear(&downgrade->piece);
}

/* Cuts into lines. A piece is cut where it is full, but never between CR and LF. */
static void
take_octets(struct downgrade *downgrade, const char *octets, size_t length)
{
	struct buffer *piece = &downgrade->piece;
	const char *end = octets + length;

	for (; octets < end; octets++) {
		if (piece->length >= PIECE_MAX - 1 && *octets != '\n')
			take_collected(downgrade);
		buffer_append_byte(piece, *octets);
		if (*octets == '\n')
			take_collected(downgrade);
	}
}

static void
take_end(struct downgrade *downgrade)
{
	if (downgrade->piece.length > 0)
		take_collected(downgrade);
	end_entity(downgrade);
}

/* ---- twice through ---------------------------------------------------------------------------- */

void
downgrade_survey(struct downgrade *downgrade, const char *octets, size_t length)
{
	if (!downgrade->impossible)
		take_octets(downgrade, octets, length);
}

bool
downgrade_survey_end(struct downgrade *downgrade)
{
	take_end(downgrade);
	downgrade->rewriting = true;
	downgrade->place = PLACE_HEADER;
	downgrade->whole_message = true;
	downgrade->inside = downgrade->inside_line = false;
	downgrade->depth = downgrade->leaf = 0;
	return !downgrade->impossible;
}

void
downgrade_rewrite(struct downgrade *downgrade, const char *octets, size_t length, struct buffer *out)
{
	downgrade->out = out;
	take_octets(downgrade, octets, length);
}

void
downgrade_rewrite_end(struct downgrade *downgrade, struct buffer *out)
{
	downgrade->out = out;
	take_end(downgrade);
}
