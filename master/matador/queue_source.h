/*
 * queue_source - where the messages come from: qmgr while the service runs, MAIL.BOX itself while it is stopped
 *
 * A running qmgr is asked over a pair that master made; a stopped MAIL.BOX is read under its lock.
 */
#ifndef MASTER_MATADOR_QUEUE_SOURCE_H
#define MASTER_MATADOR_QUEUE_SOURCE_H

#include "common/ipc/queue.h"
#include "master/matador/choice.h"
#include "qmgr/store/store.h"

struct queue_source;

/* False stops. */
typedef bool (*queue_item_cb)(void *context, const struct store_item *item);
typedef void (*queue_content_cb)(void *context, const void *data, size_t length);

/* The exit status that says why offline_open() failed. */
int offline_open_status(const struct error *error);
/* An exit status: EX_OK, or what command_fail() was called with. online: a stopped service will not do. */
int queue_source_open(const char *folder, char **argv, bool online, struct queue_source **source_out);
void queue_source_close(struct queue_source **source);

/* Messages in the order of their ids, at most limit (0: all). -1 and an error. */
int queue_source_each(struct queue_source *source, const struct choice *choice, uint64_t limit, queue_item_cb callback,
    void *context, struct error *error);

/* One message: its envelope, then its content in parts. 1: done; 0: there is no such message; -1 and an error. */
int queue_source_export(struct queue_source *source, uint64_t id, queue_item_cb callback, queue_content_cb content,
    void *context, struct error *error);

/* hold, release, retry, remove, route; only online. *count_out messages were changed. */
int queue_source_act(struct queue_source *source, enum queue_action_kind action, const struct choice *choice,
    uint64_t *count_out, struct error *error);

#endif
