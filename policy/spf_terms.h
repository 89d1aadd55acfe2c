/*
 * spf_terms - what the terms of SPF records ask the DNS, within the limits of RFC 7208 section 4.6.4
 *
 * The state of one evaluation. It ends early in two ways: with a verdict that is an error, or with questions whose answers
 * are not known yet; behind either nothing more is asked. Nothing here knows libspf2.
 */
#ifndef POLICY_SPF_TERMS_H
#define POLICY_SPF_TERMS_H

#include <stdbool.h>

#include "common/base/attributes.h"
#include "policy/spf_exchange.h"
#include "policy/spf_record.h"

struct spf_evaluation {
	const struct spf_request *request;
	struct spf_reply *reply;
	bool ended;			/* the reply is an error, or questions */
	struct spf_macro_values values;	/* all but the domain and the validated name */
	char local_part[SPF_SENDER_SIZE];
	char sender[SPF_VALUE_MAX];
	const char *domain;		/* whose record it is about; lent from sender */
	char client[SPF_ADDRESS_SIZE];	/* its address in one form */
	unsigned terms;			/* that asked the DNS */
	unsigned voids;			/* those of them that were told that there is nothing */
};

/* A place in a record that asks the DNS. */
struct spf_place {
	struct spf_text spec;		/* a domain-spec; none: the domain itself */
	const char *domain;		/* whose record it stands in */
	bool was_void;			/* counted */
};

/* Ends the evaluation with an error, unless it has ended. */
void spf_end(struct spf_evaluation *evaluation, enum spf_verdict verdict, const char *format, ...) PRINTF_LIKE(3, 4);

/* What is known about a question, its name as the DNS gave it or escaped. NULL: it is wanted now, and the evaluation has ended. */
const struct spf_known *spf_look(struct spf_evaluation *evaluation, enum dns_kind kind, const char *name);
/* The same; no answer ends the evaluation with a temporary error. */
const struct spf_known *spf_ask(struct spf_evaluation *evaluation, enum dns_kind kind, const char *name);
/* The same for a name that we made. */
const struct spf_known *spf_ask_made(struct spf_evaluation *evaluation, enum dns_kind kind, const char *name);

/* A term begins to ask. False: it is one too many, or the evaluation has ended. */
bool spf_count_term(struct spf_evaluation *evaluation);
/* The DNS has told a term that there is nothing; it counts once a term. */
void spf_count_void(struct spf_evaluation *evaluation, struct spf_place *place);

/* The name that a place is about. False: it is none, or the evaluation has ended. */
bool spf_place_name(struct spf_evaluation *evaluation, const struct spf_place *place, char name[static SPF_NAME_SIZE]);

/* What text stands for in a record of this domain. False: nothing, or the evaluation has ended. */
bool spf_expand(struct spf_evaluation *evaluation, struct spf_text text, const char *domain, struct buffer *out);

/* Whether a name of the client that leads back to it is target or below it (section 5.5). False also when the evaluation has
 * ended. */
bool spf_client_is_in(struct spf_evaluation *evaluation, const char *target, struct spf_place *place);

/* The one SPF record of a name (sections 4.4 and 4.5). False: it has none, or the evaluation has ended. */
bool spf_find_record(struct spf_evaluation *evaluation, const char *name, struct spf_text *record_out);

#endif
