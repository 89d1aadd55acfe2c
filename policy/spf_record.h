/*
 * spf_record - the syntax of an SPF record (RFC 7208 sections 4.5, 4.6.1, 5, 6 and 12), strictly
 *
 * A record is judged whole before any of it counts: an error anywhere makes it none. libspf2 is given only what this
 * parser has understood.
 */
#ifndef POLICY_SPF_RECORD_H
#define POLICY_SPF_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/spf_macro.h"

#define SPF_PROBLEM_SIZE 160	/* a line that says what is wrong; printable, whatever the record held */

enum spf_mechanism { SPF_MECHANISM_ALL, SPF_MECHANISM_INCLUDE, SPF_MECHANISM_A, SPF_MECHANISM_MX, SPF_MECHANISM_PTR,
	SPF_MECHANISM_IP4, SPF_MECHANISM_IP6, SPF_MECHANISM_EXISTS, SPF_MECHANISM_COUNT };

struct spf_term {
	enum spf_mechanism mechanism;
	char qualifier;			/* '+', '-', '~' or '?' */
	struct spf_text domain;		/* a domain-spec; none: the current domain */
	uint8_t prefix4, prefix6;	/* bits that count: of ip4 and ip6 their own, of a and mx both */
	uint8_t network[16];		/* of ip4 and ip6 */
};

struct spf_record {
	struct spf_term *terms;		/* owned; what they point to is lent from the text */
	size_t count;
	struct spf_text redirect;	/* domain-specs; none: it has no such modifier */
	struct spf_text explanation;
};

/* Whether a TXT record is an SPF record at all (section 4.5). */
bool spf_record_is_one(struct spf_text text);

/* Fills record from a text that is one; it lends from the text. False, nothing to free and a problem: it is malformed. */
bool spf_record_parse(struct spf_record *record, struct spf_text text, char problem[static SPF_PROBLEM_SIZE]);
void spf_record_free(struct spf_record *record);

/* Appends to line what of a stranger's text can be printed, '?' for the rest, cut after so many octets. */
void spf_text_print(char *line, size_t size, struct spf_text text);

#endif
