/*
 * decide - where a recipient goes: the decision tables (docs/reference/domino-semantics.md, 4.A to 4.D)
 *
 * Each function is handed what was found out and fills a decision. Nobody is asked and nothing is kept.
 */
#ifndef ROUTER_DECIDE_H
#define ROUTER_DECIDE_H

#include "common/ipc/directory.h"
#include "common/ipc/route.h"
#include "router/classify.h"

struct decision {
	enum route_outcome outcome;
	enum transport transport;
	char next_hop[ENVELOPE_TEXT_MAX + 1];
	char address[ENVELOPE_TEXT_MAX + 1];	/* ROUTE_FORWARD: where to */
	enum failure_class failure;
	char status[16];
	char text[ENVELOPE_TEXT_MAX + 1];
	char rule[512];
};

/* One entry of the Directory. */
struct entry {
	enum directory_entry_kind kind;
	char name[513];
	char mail_server[513];
	char mail_file[513];
	char forwarding_address[ENVELOPE_TEXT_MAX + 1];
	char internet_address[ENVELOPE_TEXT_MAX + 1];
	char file[ENVELOPE_TEXT_MAX + 1];
	uint32_t line;
};

/* What every decision needs to know. */
struct question {
	const struct rules *rules;
	const struct trace *trace;
	const char *recipient;		/* as it was asked */
	enum message_format format;
	unsigned forwards;		/* expansions and forwards behind it */
};

/* Whether the recipient was forwarded or expanded too often already. True: decided. */
bool decide_hops(const struct question *question, struct decision *decision);

/* A5: every local Internet recipient goes to the smart host, unasked. True: decided. */
bool decide_smart_host_for_all(const struct question *question, const struct classification *class,
    struct decision *decision);

/* A1 to A3: a person or mail-in database was found. */
void decide_entry(const struct question *question, const struct entry *entry, struct decision *decision);

/* Nobody was found: A4, or A7 and A8 for an address in a local Internet domain. */
void decide_unknown(const struct question *question, const struct classification *class,
    struct decision *decision);

void decide_ambiguous(const struct question *question, const char *name, struct decision *decision);
void decide_malformed(const struct question *question, struct decision *decision);
/* The Directory cannot answer. */
void decide_unavailable(const struct question *question, struct decision *decision);

/* A group: a failure when it is empty, too large or nested too deep, otherwise its members go out. */
void decide_group(const struct question *question, const struct entry *entry, uint32_t members,
    struct decision *decision);

/* 4.C: an external Internet domain. */
void decide_external(const struct question *question, const struct classification *class,
    struct decision *decision);

/* 4.D: another Domino domain. */
void decide_domino_domain(const struct question *question, const struct classification *class,
    struct decision *decision);

/* 4.B: a server of our Domino domain; address is what it is to be given. */
void decide_server(const struct question *question, const char *server_name, const char *address,
    struct decision *decision);

/* Shared by the tables' files. */
void decide_fail(struct decision *decision, enum failure_class failure, const char *status, const char *format, ...)
    PRINTF_LIKE(4, 5);
void decide_no_route(const struct question *question, enum failure_class failure, const char *domain,
    const char *why, struct decision *decision);
/*
 * "lmtp:host" and "host": the transport and what stands behind it. Call it last: while our server document has SMTP
 * switched off the recipient waits, and that is the rule then (section 6.2).
 */
void decide_next_hop(const struct question *question, const char *next_hop, const char *address,
    struct decision *decision);
void decide_rule(struct decision *decision, const char *document, const char *title, const struct position *at);
void decide_rule_of_setting(const struct question *question, struct decision *decision, const char *key,
    const struct setting *setting);

#endif
