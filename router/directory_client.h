/*
 * directory_client - our end of the pair with directory
 *
 * Owns:   the channel and every question without an answer.
 * Fails:  a question of a directory that died is asked again of the next one, after its owner was told to forget
 *         what it had heard; without an answer in time it ends as DIRECTORY_UNAVAILABLE.
 */
#ifndef ROUTER_DIRECTORY_CLIENT_H
#define ROUTER_DIRECTORY_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "common/ipc/directory.h"

struct event_base;
struct directory_client;

struct directory_question {
	void (*entry)(void *context, const struct directory_entry *entry);
	void (*member)(void *context, const char *member);
	/* What was told so far does not count: the question is asked anew. */
	void (*again)(void *context);
	/* The end. The question is gone; a new one may be asked from here. */
	void (*answered)(void *context, enum directory_outcome outcome);
};

struct directory_client *directory_client_new(struct event_base *base);
void directory_client_free(struct directory_client **client);

/* directory is there, for the first time or again: takes over socket. */
void directory_client_introduce(struct directory_client *client, enum ipc_side side, int socket);

/* Asks; the result names the question. callbacks and context must outlive it. */
uint64_t directory_client_ask(struct directory_client *client, enum directory_lookup_kind kind, const char *text,
    const struct directory_question *callbacks, void *context);

/* Nobody wants the answer any more. */
void directory_client_forget(struct directory_client *client, uint64_t number);

/* Questions without an answer. */
size_t directory_client_open_questions(const struct directory_client *client);

#endif
