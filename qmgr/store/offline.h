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

/* Something that is wrong; all lent. */
struct offline_finding {
	uint64_t id;			/* 0: of no message that is known */
	const char *file;		/* below the folder */
	uint64_t offset;
	const char *text;
};

/* What was read. */
struct offline_totals {
	uint64_t messages;		/* alive */
	uint64_t segments;
	uint64_t records;
	uint64_t findings;
};

/* Reads every record, every content and every body file. finding may be NULL. -1 when the mailbox cannot be read at all. The
 * index is not looked at: it is derived, Berkeley DB would write to it, and the start judges it. */
int offline_verify(struct offline_mailbox *mailbox, void (*finding)(void *context, const struct offline_finding *finding),
    void *context, struct offline_totals *totals_out, struct error *error);

#endif
