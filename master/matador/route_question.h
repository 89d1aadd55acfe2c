/*
 * route_question - asks the running router where a recipient goes, as qmgr does, and what becomes of it from there
 *
 * Owns:   the pair with router (master made it), and the tree of what was asked: the address, the members of its
 *         groups and its forwarding addresses.
 * Bounds: ROUTE_ANSWERS_MAX recipients are asked about; an address that was met before, or that leads back to where
 *         it comes from, is not asked about again, as qmgr would not add it.
 * Fails:  a router that ends the conversation or does not answer is an error; what was told so far stays.
 */
#ifndef MASTER_MATADOR_ROUTE_QUESTION_H
#define MASTER_MATADOR_ROUTE_QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/error.h"
#include "common/ipc/dns.h"
#include "common/ipc/route.h"
#include "common/mail/envelope.h"

#define ROUTE_ANSWERS_MAX 1000

struct told_step {
	char *file;			/* "": nowhere; "default": of a setting */
	uint32_t line;
	char *text;
};

struct told_host {
	uint16_t preference;
	enum mail_host_state state;
	enum dns_security security;
	uint32_t failed_seconds;
	char *name;
	char *addresses;		/* separated by ", " */
	char *text;
};

/* What came of an address. */
enum route_fate {
	ROUTE_ASKED,			/* outcome and all that follows are router's */
	ROUTE_LOOP,			/* it is one of those that it comes from */
	ROUTE_DUPLICATE,		/* it is a recipient already, or ends where one does */
	ROUTE_NOT_ASKED,		/* too many */
};

struct route_told {
	TAILQ_ENTRY(route_told) entries;
	struct route_told *from;	/* whose member or forwarding address it is; NULL: the first one */
	unsigned forwards;
	enum route_fate fate;
	char *address;
	struct told_step *steps;
	size_t step_count;
	/* ROUTE_ASKED, and the duplicates that were found out by their place */
	enum route_outcome outcome;
	enum transport transport;
	char *next_hop;
	char *delivery_address;
	enum failure_class failure;
	char *status;
	char *text;
	char *rule;
	bool is_forward;		/* its one member is its forwarding address */
	char **members;
	size_t member_count;
	bool hosts_told;		/* of the next hop */
	enum mail_hosts_outcome hosts_outcome;
	enum dns_security hosts_security;
	bool own_domain;
	bool by_mx;
	bool implicit;
	uint16_t port;
	uint32_t retry_seconds;
	char *hosts_text;
	struct told_host *hosts;
	size_t host_count;
};

struct route_question {
	const char *sender;		/* borrowed */
	enum message_format format;
	/* Called with each that is done, a group before its members. False: no more are wanted. */
	bool (*told)(void *context, const struct route_told *told);
	void *context;
};

/* Takes over socket, the end of a pair with router. -1 and an error. */
int route_question_ask(const struct route_question *question, int socket, const char *address, struct error *error);

#endif
