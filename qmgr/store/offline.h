/*
 * offline - reads a MAIL.BOX whose service is stopped, for `matador queue list|show|export` and `matador verify`
 *
 * Takes the lock of the folder, changes nothing, needs no index.
 */
#ifndef QMGR_STORE_OFFLINE_H
#define QMGR_STORE_OFFLINE_H

#include "qmgr/store/store.h"

struct offline_mailbox;

/* Every alive message, in the order of ids; false from the callback stops. content_file: a path when the body is a file. */
int offline_open(const char *folder, struct offline_mailbox **mailbox_out, struct error *error);
void offline_close(struct offline_mailbox **mailbox);
int offline_each(struct offline_mailbox *mailbox, bool (*callback)(void *context, const struct store_item *item), void *context,
    struct error *error);
/* The content of one message, whole (inline or from its file). The caller releases it. */
struct store_content *offline_content(struct offline_mailbox *mailbox, uint64_t id, struct error *error);

/* Reads every record and every body; tells each finding by id and offset. Returns how many findings, or -1. */
int offline_verify(struct offline_mailbox *mailbox, void (*finding)(void *context, uint64_t id, const char *segment, uint64_t offset,
    const char *text), void *context, struct error *error);

#endif
