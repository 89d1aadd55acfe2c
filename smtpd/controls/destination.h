/*
 * destination - where mail for a recipient would go in the end, routed addresses unwrapped
 *
 * user%domain@local, "user@domain"@local, domain!user@local and what they make of each other are unwrapped for as
 * long as we would be the ones to route them; the local part of another domain's address is that domain's own
 * affair (RFC 5321 2.3.11). A separator with nothing beside it leads nowhere and is passed over. Source routes are
 * gone already: the address parser takes them off.
 */
#ifndef SMTPD_CONTROLS_DESTINATION_H
#define SMTPD_CONTROLS_DESTINATION_H

#include <stdbool.h>

#include "common/mail/address.h"
#include "smtpd/controls/control.h"

#define DESTINATION_MAX (ADDRESS_DOMAIN_MAX + 2)

/*
 * Whether the mail stays in our local Internet domains and our Domino domain. Otherwise destination is the domain
 * or address literal that it leaves for, or % and a Domino domain.
 */
bool destination_is_ours(const struct rules *rules, const struct recipient_facts *recipient,
    char destination[static DESTINATION_MAX]);

#endif
