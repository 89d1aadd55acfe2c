/*
 * directory_memory - what directory remembers of strangers: who tried before (greylist), which recipients the next hop knows
 *
 * The channel is that of the look-ups (lookup.h). Questions that a directory did not answer are asked again of the next one.
 */
#ifndef SMTPD_DIRECTORY_MEMORY_H
#define SMTPD_DIRECTORY_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/ipc/directory.h"

struct channel;
struct directory_memory;
struct memory_query;

struct memory_answer {
	bool known;				/* greylist: it may pass */
	uint32_t seconds;			/* greylist: until it may */
	enum call_out_memory_finding finding;	/* call-out */
	const char *text;			/* call-out: lent; "" for none */
};

/* The answer; the query is gone. Never called from inside a function that asks. */
typedef void (*memory_done_cb)(void *owner, const struct memory_answer *answer);

struct directory_memory *directory_memory_new(void);
/* Owners are not told. The pointer is cleared; NULL is accepted. */
void directory_memory_free(struct directory_memory **memory);

/* There is a new directory, or none (NULL); the channel is borrowed. */
void directory_memory_use(struct directory_memory *memory, struct channel *channel);
/* The channel has credits again. */
void directory_memory_pump(struct directory_memory *memory);

/* An attempt of a client of network; one that peeks is not remembered. Texts are copied. */
struct memory_query *directory_memory_ask_greylist(struct directory_memory *memory, const char *network, const char *sender,
    const char *recipient, bool peeks, memory_done_cb done, void *owner);
struct memory_query *directory_memory_ask_call_out(struct directory_memory *memory, const char *recipient, memory_done_cb done,
    void *owner);
/* The owner no longer waits. The pointer is cleared; NULL is accepted. */
void directory_memory_forget(struct directory_memory *memory, struct memory_query **query);

/* What a call-out found, for those who ask later. Lost when there is no directory. */
void directory_memory_report(struct directory_memory *memory, const char *recipient, bool taken, const char *text);

/* What directory says. */
void directory_memory_take_greylist(struct directory_memory *memory, const struct greylist_answer *message);
void directory_memory_take_call_out(struct directory_memory *memory, const struct call_out_memory *message);

#endif
