/*
 * commands - MAIL and RCPT with the parameters that a host offers
 *
 * Addresses come from the envelope and were parsed at the door; what could break out of a command line all
 * the same is refused here once more. Parameter values are xtext (RFC 3461 section 4) and cannot. Where SMTPUTF8 is
 * not in use, an address that is international in its domain alone is written with A-labels (RFC 5890).
 */
#ifndef SMTP_COMMANDS_H
#define SMTP_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/mail/address.h"
#include "common/mail/envelope.h"

struct mail_parameters {
	bool size;		/* SIZE=octets */
	uint64_t octets;
	bool eight_bit;		/* BODY=8BITMIME */
	bool smtputf8;
	bool dsn;		/* RET, ENVID */
};

/* Whether the address can stand between < and > of a command: no control, nothing that ends it, not too long. */
bool command_address_is_safe(const char *address);
bool address_is_ascii(const char *address);
/* The address with its domain in A-labels. False when its local part is not ASCII or its domain no IDNA domain. */
bool address_to_ascii(const char *address, char ascii[static ADDRESS_TEXT_MAX]);
/* The address of a recipient as the next hop knows it. */
const char *recipient_wire_address(const struct envelope_recipient *recipient);

/* Without parameters->smtputf8 every address is ASCII or goes through address_to_ascii(). */
void command_append_mail(struct buffer *out, const struct envelope *envelope, const struct mail_parameters *parameters);
void command_append_rcpt(struct buffer *out, const struct envelope_recipient *recipient,
    const struct mail_parameters *parameters);

#endif
