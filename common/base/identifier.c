/* identifier - see identifier.h */
#include "common/base/identifier.h"

#include <ctype.h>
#include <string.h>

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void
identifier_format(uint64_t id, char text[static IDENTIFIER_TEXT_SIZE])
{
	for (int i = IDENTIFIER_TEXT_SIZE - 2; i >= 0; i--) {
		text[i] = digits[id & 31];
		id >>= 5;
	}
	text[IDENTIFIER_TEXT_SIZE - 1] = '\0';
}

bool
identifier_parse(const char *text, uint64_t *id_out)
{
	uint64_t id = 0;

	if (strlen(text) != IDENTIFIER_TEXT_SIZE - 1)
		return false;
	for (; *text != '\0'; text++) {
		const char *digit = strchr(digits, toupper((unsigned char)*text));

		if (digit == NULL || id >> 59 != 0)
			return false;
		id = id << 5 | (uint64_t)(digit - digits);
	}
	*id_out = id;
	return true;
}
