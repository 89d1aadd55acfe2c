/*
 * recipient_lookup - which questions the Directory is asked about a recipient in a local Internet domain, in which
 * order
 *
 * The one place that knows (docs/reference/domino-semantics.md, 3.3), for smtpd and router alike: the whole
 * address, the address in the primary domain when the domain is an alias, the local part; as address_lookup says.
 * It asks nothing itself: the owner sends the question that stands in kind and text, counts the entries, and gives
 * back the outcome.
 *
 *	recipient_lookup_start(&lookup, settings, &address, primary);
 *	while (lookup.state == RECIPIENT_LOOKUP_ASK)
 *		... ask lookup.kind, lookup.text; recipient_lookup_answer(&lookup, outcome, entries);
 */
#ifndef COMMON_MAIL_RECIPIENT_LOOKUP_H
#define COMMON_MAIL_RECIPIENT_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>

#include "common/conf/settings.h"
#include "common/ipc/directory.h"
#include "common/mail/address.h"

enum recipient_lookup_state {
	RECIPIENT_LOOKUP_ASK,		/* kind and text are to be asked now */
	RECIPIENT_LOOKUP_FOUND,		/* the last question had exactly one entry */
	RECIPIENT_LOOKUP_MANY,		/* the last question had several */
	RECIPIENT_LOOKUP_NONE,		/* nobody has this address */
	RECIPIENT_LOOKUP_UNAVAILABLE,	/* the Directory cannot answer: conclude nothing */
};

#define RECIPIENT_LOOKUP_QUESTIONS_MAX 3

struct recipient_lookup {
	enum recipient_lookup_state state;
	enum directory_lookup_kind kind;
	char text[ADDRESS_TEXT_MAX];
	/* private */
	struct {
		enum directory_lookup_kind kind;
		char text[ADDRESS_TEXT_MAX];
	} questions[RECIPIENT_LOOKUP_QUESTIONS_MAX];
	size_t question_count;
	size_t asked;
};

/*
 * address is in a local Internet domain; primary is what is_local_internet_domain() gave (NULL: no alias). An
 * address user%OurDominoDomain is looked up as the name user; one of another Domino domain is NONE here (the
 * router classifies it before it looks anything up).
 */
void recipient_lookup_start(struct recipient_lookup *lookup, const struct settings *settings,
    const struct address *address, const char *primary);

/* Gives the answer to the question that was asked; entries is how many directory_entry messages came with it. */
void recipient_lookup_answer(struct recipient_lookup *lookup, enum directory_outcome outcome, size_t entries);

/*
 * Splits "user%DominoDomain", the local part of an address whose Internet domain is local. The separator is that
 * of the Global Domain document of the domain. False when it is not of this form: what stands behind the separator
 * must be one word.
 */
bool recipient_lookup_unwrap(const struct settings *settings, const struct address *address, const char *primary,
    char user[static ADDRESS_LOCAL_PART_MAX + 1], char domino_domain[static ADDRESS_LOCAL_PART_MAX + 1]);

/*
 * postmaster, abuse, root: mail for them is always taken and, when the Directory has no such entry, goes to
 * matador.postmaster.
 */
bool is_role_local_part(const char *local_part);

#endif
