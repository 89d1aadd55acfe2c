/*
 * sender_memory - what was found out about senders' domains, for a while: the next message of one costs no question
 *
 * That mail can be sent back to a domain is the domain's; a verdict of SPF is one client's, under the name it gave and for one
 * domain. Whoever answers says for how long an answer holds; one that holds for this message only is not kept.
 *
 * Bounds: SENDER_MEMORY_RECORDS answers; those used longest ago go first.
 */
#ifndef SMTPD_SENDER_MEMORY_H
#define SMTPD_SENDER_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "smtpd/facts.h"

#define SENDER_MEMORY_RECORDS 10000

struct sender_memory;

struct sender_memory *sender_memory_new(void);
/* The pointer is cleared; NULL is accepted. */
void sender_memory_free(struct sender_memory **memory);

/* What FACT_SENDER_DOMAIN or FACT_SPF of this sender is kept under; the caller's to free. */
char *sender_memory_key(enum fact fact, const struct client_facts *client, const struct sender_facts *sender);

/* The answer that is kept, its text lent until the memory is told another one. False: there is none, or it holds no more. */
bool sender_memory_find(struct sender_memory *memory, const char *key, struct fact_answer *answer_out);

/* Keeps an answer for its lasts_ms, in the place of an older one. */
void sender_memory_keep(struct sender_memory *memory, const char *key, const struct fact_answer *answer);

size_t sender_memory_count(const struct sender_memory *memory);

#endif
