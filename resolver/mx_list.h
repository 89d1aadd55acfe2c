/*
 * mx_list - the hosts of a domain in the order in which mail is offered to them, and what speaks against each
 *
 * The rules of RFC 5321 section 5.1, RFC 7505 and section 5 of docs/reference/domino-semantics.md, without any
 * asking: lowest preference first, equals shuffled anew in each list, a host named twice counts once, and only the
 * best so many are kept, so that a domain with a thousand of them costs no more than others.
 */
#ifndef RESOLVER_MX_LIST_H
#define RESOLVER_MX_LIST_H

#include <stdbool.h>

#include "common/ipc/dns.h"
#include "resolver/answer.h"

#define MX_HOSTS_MAX 50

struct mx_host {
	uint16_t preference;
	enum mail_host_state state;
	enum dns_security security;	/* of its addresses */
	bool known;			/* its addresses are known, or not wanted */
	uint32_t failed_seconds;
	uint16_t count;			/* addresses */
	struct buffer addresses;	/* bytes (4 or 16 octets) each */
	char name[ANSWER_NAME_MAX + 1];	/* in lower case */
	char text[512];			/* why it is not usable */
};

struct mx_list {
	struct mx_host *hosts;		/* owned */
	size_t count;
	bool refuses_mail;		/* all it names are no hosts at all: the null MX of RFC 7505, or localhost */
};

/*
 * Fills list from records (those of a DNS_MX answer). Names that cannot be a host's are in it as NO_ADDRESS.
 * our_name is ourselves, or "": see mx_list_cut().
 */
void mx_list_read(struct mx_list *list, const struct dns_answer *answer, const char *our_name);
/* The one host that a name without MX records is. */
void mx_list_set_implicit(struct mx_list *list, const char *name);
void mx_list_free(struct mx_list *list);

/*
 * A name that a host can have: not empty, no address, nothing of this host alone (localhost), no octets that names
 * lack.
 */
bool mx_name_is_host(const char *name);

/*
 * Where a host is OURS, every other one that is not preferred over it becomes BEHIND_OURS: they might send it back.
 */
void mx_list_cut(struct mx_list *list);

/*
 * What comes of it once all is known. retry_seconds is filled for ALL_FAILED; *text_out (never NULL) is borrowed
 * from list.
 */
enum mail_hosts_outcome mx_list_outcome(const struct mx_list *list, uint32_t *retry_seconds_out,
    const char **text_out);

#endif
