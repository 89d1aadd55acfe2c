/* idn - see idn.h */
#include "common/mail/idn.h"

#include <idn2.h>
#include <string.h>

static bool
is_ascii(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text >= 0x80)
			return false;
	return true;
}

bool
domain_to_ascii(const char *domain, char ascii[static ADDRESS_DOMAIN_MAX + 1])
{
	uint8_t *converted = NULL;
	const char *from = domain;
	bool fits;

	if (strlen(domain) > ADDRESS_DOMAIN_MAX)
		return false;
	if (!is_ascii(domain)) {
		if (idn2_lookup_u8((const uint8_t *)domain, &converted,
		    IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
			return false;
		from = (const char *)converted;
	}
	/* Characters that IDNA maps to nothing must not leave an empty label behind. */
	fits = strlen(from) <= ADDRESS_DOMAIN_MAX && (converted == NULL || domain_is_valid(from, false));
	if (fits) {
		char *to = ascii;

		for (; *from != '\0'; from++)
			*to++ = *from >= 'A' && *from <= 'Z' ? (char)(*from - 'A' + 'a') : *from;
		*to = '\0';
	}
	idn2_free(converted);
	return fits;
}
