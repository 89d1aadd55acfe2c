/*
 * answer - a DNS packet as an outcome and its records
 *
 * Reads what libunbound hands out: a packet whose octets came from anywhere. Only the records at the end of
 * the question's own chain of aliases count; a chain is followed so far and no further.
 */
#ifndef RESOLVER_ANSWER_H
#define RESOLVER_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "common/ipc/dns.h"

#define ANSWER_RECORDS_MAX 64	/* of one type */
#define ANSWER_ALIASES_MAX 16

enum answer_type { ANSWER_A, ANSWER_AAAA, ANSWER_PTR, ANSWER_TYPE_COUNT };

struct answer {
	enum dns_outcome outcome;
	enum dns_security security;
	uint32_t ttl;			/* the least of all records used */
	size_t count;
	struct buffer records;		/* wire fields: bytes (an address) or string (a name) each */
	char text[120];			/* why there is no answer */
};

void answer_init(struct answer *answer);
void answer_free(struct answer *answer);

/* Fills an initialised answer from the packet that answers name. */
void answer_read(struct answer *answer, enum answer_type type, const char *name, const void *packet, size_t length);

/* What an answer is without any packet: NO_ANSWER with a text. */
void answer_set_none(struct answer *answer, const char *text);

/* The resource record type's number. */
int answer_type_number(enum answer_type type);

#endif
