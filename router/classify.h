/*
 * classify - what kind of address a recipient is (docs/reference/domino-semantics.md, 3.1)
 *
 * It only looks at the text and the documents; nobody is asked.
 */
#ifndef ROUTER_CLASSIFY_H
#define ROUTER_CLASSIFY_H

#include "common/mail/address.h"
#include "common/mail/envelope.h"
#include "router/rules.h"

enum address_class {
	CLASS_NAME,		/* a Notes name, of our Domino domain or without one: look it up */
	CLASS_LOCAL_INTERNET,	/* an address in a local Internet domain */
	CLASS_EXTERNAL,		/* an address in any other Internet domain */
	CLASS_FOREIGN,		/* a Domino domain that a Foreign Domain document names */
	CLASS_ADJACENT,		/* one that a Connection document leads to */
	CLASS_NON_ADJACENT,	/* one that a Non-adjacent Domain document names */
	CLASS_UNKNOWN_DOMAIN,	/* one that nothing names */
	CLASS_MALFORMED,	/* no address at all */
};

struct classification {
	enum address_class class;
	char name[ENVELOPE_TEXT_MAX + 1];	/* CLASS_NAME: what to look up; Domino domains: the user there */
	char domain[ADDRESS_DOMAIN_MAX + 1];	/* the Domino domain */
	struct address address;			/* the Internet classes */
	const char *primary;	/* CLASS_LOCAL_INTERNET: what an alias stands for, or NULL; borrowed from the rules */
	const char *rule;			/* what decided; borrowed */
	struct position at;
	char rule_text[400];			/* rule points here when it had to be made */
};

void classify(const struct rules *rules, const char *recipient, const struct trace *trace,
    struct classification *class_out);

/* The Server document of that name, or NULL. */
const struct document_server *classify_find_server(const struct settings *settings, const char *name);

#endif
