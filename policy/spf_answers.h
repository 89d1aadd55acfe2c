/*
 * spf_answers - what the DNS has said so far for one evaluation
 *
 * policy collects the answers, the evaluator gets all of them with each request: it knows nothing else of the DNS. The records
 * are in the form of common/ipc/dns.def; both sides read them as a stranger's.
 */
#ifndef POLICY_SPF_ANSWERS_H
#define POLICY_SPF_ANSWERS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ipc/dns.h"
#include "policy/spf_macro.h"

/* RFC 7208 lets an evaluation ask about 10 terms with up to 10 hosts each, the record itself, the client's names and an
 * explanation. */
#define SPF_ANSWERS_MAX 128
/* Evaluations of honest records need a few thousand octets; what a check holds, the one under attack holds. */
#define SPF_ANSWERS_OCTETS_MAX (128u << 10)

struct spf_known {
	enum dns_kind kind;
	enum dns_outcome outcome;
	char name[SPF_NAME_SIZE];
	size_t count;		/* records; 0 unless the outcome is DNS_FOUND */
	void *records;		/* owned */
	size_t length;
};

struct spf_answers {
	struct spf_known *known;	/* owned */
	size_t count;
	size_t octets;			/* that they take: each with its records */
};

#define SPF_ANSWERS_INITIALIZER { NULL, 0, 0 }

void spf_answers_free(struct spf_answers *answers);

/* Remembers what was answered to a question. False: there are too many, or their records are too long. */
bool spf_answers_add(struct spf_answers *answers, enum dns_kind kind, const char *name, const struct dns_answer *answer);

/* The answer to a question (the case of names does not matter), or NULL. */
const struct spf_known *spf_answers_find(const struct spf_answers *answers, enum dns_kind kind, const char *name);

void spf_answers_put(struct buffer *out, const struct spf_answers *answers);
/* Fills empty answers. False: malformed; free them in any case. */
bool spf_answers_get(struct wire_reader *in, struct spf_answers *answers);

/* One record. Text and name are lent from the answer. */
struct spf_known_record {
	uint8_t address[16];		/* A (4 octets), AAAA */
	const char *name;		/* MX, PTR */
	bool is_confirmed;		/* PTR: the name leads back to the address */
	struct spf_text text;		/* TXT */
};

/* Reads the next record; a reader begins with wire_reader_init(reader, known->records, known->length). False: malformed. */
bool spf_known_next(const struct spf_known *known, struct wire_reader *reader, struct spf_known_record *record);

#endif
