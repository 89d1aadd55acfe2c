/* listed_domain - see listed_domain.h */
#include "common/conf/listed_domain.h"

#include <stdio.h>
#include <string.h>

#include "common/mail/idn.h"

/* The first label that begins at that octet or behind it; the end of the domain when none does. */
static const char *
label_from(const char *domain, size_t octet)
{
	const char *dot;

	if (octet == 0)
		return domain;
	dot = strchr(domain + octet - 1, '.');
	return dot != NULL ? dot + 1 : domain + strlen(domain);
}

void
listed_domain_form(const char *domain, char form[static LISTED_DOMAIN_MAX + 1])
{
	size_t length = strlen(domain), low = 0, high;
	char ascii[ADDRESS_DOMAIN_MAX + 1] = "";

	if (domain_to_ascii(domain, form))
		return;
	if (length > ADDRESS_DOMAIN_MAX) {
		domain += length - ADDRESS_DOMAIN_MAX;
		length = ADDRESS_DOMAIN_MAX;
	}
	/* By halves: strangers write domains, and what IDNA refuses it refuses with more labels in front of it, too. */
	for (high = length; low < high;) {
		size_t middle = low + (high - low) / 2;

		if (domain_to_ascii(label_from(domain, middle), ascii))
			high = middle;
		else
			low = middle + 1;
	}
	snprintf(form, LISTED_DOMAIN_MAX + 1, "%.*s%s", (int)(label_from(domain, low) - domain), domain, ascii);
}
