/*
 * answer - a DNS packet as an outcome and its records
 *
 * Reads what libunbound hands out: a packet whose octets came from anywhere. Only the records at the end of
 * the question's own chain of aliases count; a chain is followed so far and no further. Names come as text without
 * their last dot, with '\' before whatever has no place in a name, so they are safe to log and never too long.
 */
#ifndef RESOLVER_ANSWER_H
#define RESOLVER_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "common/ipc/dns.h"

#define ANSWER_RECORDS_MAX 64	/* of one type; more MX records, because the best of all of them are wanted */
#define ANSWER_MX_RECORDS_MAX 4096
#define ANSWER_OCTETS_MAX (192u << 10)
#define ANSWER_NAME_MAX 255
#define ANSWER_ALIASES_MAX 16

struct answer {
	enum dns_outcome outcome;
	enum dns_security security;
	uint32_t ttl;			/* the least of all records used */
	size_t count;
	struct buffer records;		/* as in common/ipc/dns.def, but names of DNS_PTR without what follows them */
	char text[120];			/* why there is no answer */
};

void answer_init(struct answer *answer);
void answer_free(struct answer *answer);

/* Fills an initialised answer from the packet that answers name. kind is any but DNS_HOST. */
void answer_read(struct answer *answer, enum dns_kind kind, const char *name, const void *packet, size_t length);

/* What an answer is without any packet: NO_ANSWER with a text. */
void answer_set_none(struct answer *answer, const char *text);

/* The number of the resource record type that is asked for. */
int answer_type_number(enum dns_kind kind);

/* Leaves out from the end what is more than so many octets of records, as a whole record each. */
void answer_limit(struct dns_answer *answer, enum dns_kind kind, size_t octets);

#endif
