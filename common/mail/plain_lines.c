/* plain_lines - see plain_lines.h */
#include "common/mail/plain_lines.h"

#include <stdint.h>
#include <string.h>

#define BLOCK 64		/* octets looked at in one step */
#define PARTS 4
#define BLOCKS_OF_A_LINE 12	/* without an LF: with what may stand in front and behind it is still a line of at most 998 */

typedef uint8_t octets __attribute__((vector_size(BLOCK / PARTS)));
typedef uint64_t words __attribute__((vector_size(BLOCK / PARTS)));

/* Octets that cannot stand where they do: an LF without CR, a CR without LF, a NUL, a dot in front of a line. */
static inline bool
is_out_of_place(char octet, char before, bool without_dots)
{
	return (octet == '\n') != (before == '\r') || octet == '\0' || (without_dots && octet == '.' && before == '\n');
}

/* The first octet from 1 on that may be out of place, or where fewer than BLOCK are left. */
static size_t
skip_blocks(const char *data, size_t length, bool without_dots)
{
	uint8_t dot = without_dots ? '.' : '\n';	/* an LF behind an LF is out of place anyhow */
	size_t at = 1, blocks = 0;

	for (; length - at >= BLOCK; at += BLOCK) {
		words bad = { 0 }, end = { 0 };

#pragma GCC unroll 4
		for (size_t i = 0; i < BLOCK; i += sizeof(octets)) {
			octets here, before;

			memcpy(&here, data + at + i, sizeof(here));
			memcpy(&before, data + at + i - 1, sizeof(before));
			end |= (words)(here == '\n');
			bad |= (words)(((here == '\n') ^ (before == '\r')) | (here == 0) | ((here == dot) & (before == '\n')));
		}
		blocks = (end[0] | end[1]) != 0 ? 0 : blocks + 1;
		if ((bad[0] | bad[1]) != 0 || blocks > BLOCKS_OF_A_LINE)
			break;
	}
	return at;
}

size_t
plain_lines(const char *data, size_t length, bool without_dots)
{
	size_t at, stop;
	const char *last;

	if (length < 2 || is_out_of_place(data[0], '\n', without_dots))
		return 0;
	at = skip_blocks(data, length, without_dots);
	stop = length - at < BLOCK ? length : at + BLOCK;
	while (at < stop && !is_out_of_place(data[at], data[at - 1], without_dots))
		at++;
	last = memrchr(data, '\n', at);
	return last == NULL ? 0 : (size_t)(last - data) + 1;
}

bool
has_eight_bit(const char *data, size_t length)
{
	uint64_t all = 0;

	for (; length >= BLOCK && all == 0; data += BLOCK, length -= BLOCK) {
		words both = { 0 };

#pragma GCC unroll 4
		for (size_t i = 0; i < BLOCK; i += sizeof(words)) {
			words part;

			memcpy(&part, data + i, sizeof(part));
			both |= part;
		}
		all = (both[0] | both[1]) & 0x8080808080808080u;
	}
	for (; length > 0 && all == 0; length--)
		all = (unsigned char)*data++ & 0x80u;
	return all != 0;
}
