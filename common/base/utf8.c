/* utf8 - see utf8.h */
#include "common/base/utf8.h"

#include <stdint.h>

/* Octets of the sequence that a lead octet announces and the smallest character it may stand for; 0: not a lead
 * octet. */
static size_t
sequence_length(unsigned char lead, uint32_t *bits_out, uint32_t *smallest_out)
{
	if (lead >= 0xc2 && lead <= 0xdf) {
		*bits_out = lead & 0x1f;
		*smallest_out = 0x80;
		return 2;
	}
	if ((lead & 0xf0) == 0xe0) {
		*bits_out = lead & 0x0f;
		*smallest_out = 0x800;
		return 3;
	}
	if (lead >= 0xf0 && lead <= 0xf4) {
		*bits_out = lead & 0x07;
		*smallest_out = 0x10000;
		return 4;
	}
	return 0;
}

bool
utf8_is_valid(const char *text, size_t length)
{
	size_t i = 0;

	while (i < length) {
		unsigned char lead = (unsigned char)text[i];
		uint32_t character = 0, smallest = 0;
		size_t octets;

		if (lead < 0x80) {
			i++;
			continue;
		}
		octets = sequence_length(lead, &character, &smallest);
		if (octets == 0 || length - i < octets)
			return false;
		for (size_t k = 1; k < octets; k++) {
			unsigned char octet = (unsigned char)text[i + k];

			if ((octet & 0xc0) != 0x80)
				return false;
			character = character << 6 | (octet & 0x3f);
		}
		if (character < smallest || character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff))
			return false;
		i += octets;
	}
	return true;
}
