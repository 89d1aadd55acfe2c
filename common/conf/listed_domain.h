/*
 * listed_domain - the one form in which domains meet the entries of lists
 *
 * A-labels and lower case, as IDNA has it. Where IDNA refuses a part of a domain, only that part and what stands in
 * front of it stay as written: nobody escapes from the list that has his domain by a label that is none.
 */
#ifndef COMMON_CONF_LISTED_DOMAIN_H
#define COMMON_CONF_LISTED_DOMAIN_H

#include "common/mail/address.h"

#define LISTED_DOMAIN_MAX (2 * ADDRESS_DOMAIN_MAX)	/* octets of the form: what is as written, and what is not */

/* Of a domain longer than ADDRESS_DOMAIN_MAX the end counts. */
void listed_domain_form(const char *domain, char form[static LISTED_DOMAIN_MAX + 1]);

#endif
