/*
 * client_memory - what the DNS says of clients by their address, for a while: names, and answers of DNS lists
 *
 * A client that comes again costs no question, and sessions of one client that wait at the same time share one.
 * An answer lasts as client_answer_lifetime_ms() says. Answers of lists belong to the zones that were asked: after a reload
 * that changes the lists they count no more.
 *
 * Bounds: CLIENT_MEMORY_RECORDS answers; those used longest ago go first, asked or not, unless somebody waits for them.
 * Trusts: nobody. Names with octets that no host name has are dropped, answers of lists outside 127.0.0.0/8 are logged and
 *         do not count.
 */
#ifndef SMTPD_CLIENT_MEMORY_H
#define SMTPD_CLIENT_MEMORY_H

#include <netinet/in.h>
#include <stddef.h>

#include "smtpd/facts.h"

#define CLIENT_MEMORY_RECORDS 20000	/* two for each of 10,000 addresses */

struct client_memory;
struct client_wait;
struct dns_client;
struct event_base;

/* The answer, FACT_HOST_NAMES or FACT_DNS_LISTS. The wait is gone. */
typedef void (*client_memory_done_cb)(void *owner, const struct fact_answer *answer);

/* dns is borrowed. */
struct client_memory *client_memory_new(struct event_base *base, struct dns_client *dns);
/* Owners are not told. The pointer is cleared; NULL is accepted. */
void client_memory_free(struct client_memory **memory);

/*
 * Asks for a fact of a client: FACT_HOST_NAMES, or FACT_DNS_LISTS, which is answered within dns_list_timeout of the rules.
 * NULL when the answer was there at once: then done has been called. address is AF_INET or AF_INET6.
 */
struct client_wait *client_memory_ask(struct client_memory *memory, enum fact fact, struct rules *rules,
    const struct sockaddr *address, client_memory_done_cb done, void *owner);
/* The owner no longer waits. The pointer is cleared; NULL is accepted. */
void client_memory_forget(struct client_wait **wait);

size_t client_memory_count(const struct client_memory *memory);

#endif
