/* fuzz_address - any octets as a path: what is taken parses to itself again */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/mail/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct address *address)
{
	struct address again;
	char local_part[ADDRESS_TEXT_MAX], domain[ADDRESS_DOMAIN_MAX + 1];

	for (const char *c = address->text; *c != '\0'; c++)
		if ((unsigned char)*c < 32 || *c == 127)
			abort();
	if (address->domain[0] == '\0')
		return;
	if (address_parse(address->text, strlen(address->text), ADDRESS_ALLOW_UTF8, &again, NULL) != 0 ||
	    strcmp(again.text, address->text) != 0 || strcmp(again.local_part, address->local_part) != 0)
		abort();
	if (!address_split(address->text, local_part, domain) || strcmp(domain, address->domain) != 0)
		abort();
	if (address->is_literal ? !address_literal_is_valid(domain) : !domain_is_valid(domain, true))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct address address;
	size_t consumed;

	for (unsigned flags = 0; flags < 8; flags++) {
		if (address_parse_path((const char *)data, size, flags, &address, &consumed, NULL) == 0) {
			if (consumed > size || data[consumed - 1] != '>')
				abort();
			check(&address);
		}
		if (address_parse((const char *)data, size, flags, &address, NULL) == 0)
			check(&address);
	}
	return 0;
}
