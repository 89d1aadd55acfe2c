/*
 * address - mail addresses: RFC 5321 paths and mailboxes, RFC 6531 UTF-8, address literals, Notes names
 *
 * Addresses travel and are stored as one canonical text: local part (quoted again only where it must be), "@",
 * domain in lower case (ASCII letters) or literal in brackets. Parsing is linear, without recursion, and judges
 * the whole octets or nothing: NUL, CR, LF and other controls never pass.
 */
#ifndef COMMON_MAIL_ADDRESS_H
#define COMMON_MAIL_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"

#define ADDRESS_LOCAL_PART_MAX 64	/* RFC 5321 4.5.3.1.1, octets of the local part as written */
#define ADDRESS_DOMAIN_MAX 255		/* 4.5.3.1.2 */
#define ADDRESS_PATH_MAX 1000		/* octets of a path that is looked at: longer than 254, for source routes */
#define ADDRESS_TEXT_MAX 400		/* octets of a canonical text with its NUL, quoting included */

enum address_flags {
	ADDRESS_ALLOW_NULL = 1,		/* "<>" (MAIL FROM) */
	ADDRESS_ALLOW_UTF8 = 2,		/* SMTPUTF8 was asked for */
	ADDRESS_ALLOW_BARE_POSTMASTER = 4,	/* "<Postmaster>" without a domain (RCPT TO) */
};

struct address {
	char text[ADDRESS_TEXT_MAX];	/* canonical; "" is the null path */
	char local_part[ADDRESS_LOCAL_PART_MAX + 1];	/* its meaning: without quotes and backslashes */
	/* lower case, without a trailing dot; a literal with its brackets; "" for none */
	char domain[ADDRESS_DOMAIN_MAX + 1];
	bool is_literal;
	bool has_utf8;
	bool had_source_route;		/* "@a,@b:user@c": judged by the last, said here */
};

/*
 * Parses a path at the start of text: "<...>". *consumed_out is how many octets it took; what follows is the
 * caller's (parameters). -1 with ERROR_INVALID when it is not one; error->text fits behind "501 5.1.x ". Source
 * routes are taken and ignored (RFC 5321 appendix C).
 */
int address_parse_path(const char *text, size_t length, unsigned flags, struct address *address_out,
    size_t *consumed_out, struct error *error);

/* Parses a bare mailbox "local@domain" (flags as above, brackets not allowed), all of text. */
int address_parse(const char *text, size_t length, unsigned flags, struct address *address_out,
    struct error *error);

/*
 * Makes an address of a local part as it is meant (without quotes) and a domain or literal: for names that were
 * never written as RFC 5321 wants, "Jane Doe/Sales/Acme" at "acme.com".
 */
int address_make(const char *local_part, const char *domain, unsigned flags, struct address *address_out,
    struct error *error);

/*
 * Splits at the last '@' outside quotes (quotes that begin the text). The parts stay as written. domain is "" when
 * there is none. False when either part is too long for its room.
 */
bool address_split(const char *text, char local_part[static ADDRESS_TEXT_MAX],
    char domain[static ADDRESS_DOMAIN_MAX + 1]);

/*
 * A host name as RFC 1123 and RFC 5321 want it: labels of 1 to 63, no leading or trailing '-', 255 in all; UTF-8
 * labels when allowed.
 */
bool domain_is_valid(const char *domain, bool allow_utf8);

/* "[192.0.2.1]" or "[IPv6:2001:db8::1]", with sensible contents. */
bool address_literal_is_valid(const char *literal);

#endif
