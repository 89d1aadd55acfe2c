/* path - see path.h */
#include "smtpd/path.h"

#include <string.h>
#include <strings.h>

int
path_parse(const char *argument, size_t length, const char *word, unsigned flags, struct address *address_out,
    size_t *consumed_out, struct error *error)
{
	size_t skip = strlen(word), taken;

	if (length < skip || strncasecmp(argument, word, skip) != 0)
		return error_set(error, ERROR_INVALID, "%s<address> expected", word);
	while (skip < length && argument[skip] == ' ')
		skip++;
	if (address_parse_path(argument + skip, length - skip, flags | ADDRESS_ALLOW_UTF8, address_out, &taken,
	    error) != 0)
		return -1;
	*consumed_out = skip + taken;
	return 0;
}
