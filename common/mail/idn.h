/*
 * idn - one form of a domain for comparing: A-labels, lower case
 *
 * The only file that sees libidn2.
 */
#ifndef COMMON_MAIL_IDN_H
#define COMMON_MAIL_IDN_H

#include <stdbool.h>

#include "common/mail/address.h"

/*
 * "München.DE" and "xn--mnchen-3ya.de" both become the latter. False for what IDNA 2008 refuses; ASCII is only
 * lower-cased.
 */
bool domain_to_ascii(const char *domain, char ascii[static ADDRESS_DOMAIN_MAX + 1]);

#endif
