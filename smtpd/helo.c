/* helo - see helo.h */
#include "smtpd/helo.h"

#define HELO_MAX 255

bool
helo_is_acceptable(const char *helo, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (helo[i] <= ' ' || helo[i] >= 0x7f)
			return false;
	return length > 0 && length <= HELO_MAX;
}
