/*
 * maildir - one message into one mail file (Maildir)
 *
 * Owns:   the descriptors of a message between maildir_write() and maildir_end().
 * Fails:  with an error that is temporary unless the mail file's name can never be right; what was begun is
 *         removed.
 *
 * A mail file is a folder beneath the folder of all mail files, made with tmp, new and cur when it is
 * missing. Its name may have several components; none may be ".", "..", or one of the three of a Maildir. No
 * symbolic link is followed.
 *
 * The four steps stand apart so that a batch of messages can share the waits for the disk: all are written,
 * then all flushed, then all given their names, then the folders flushed. A message is delivered when
 * maildir_settle() succeeded.
 *
 * The file is named after message and recipient: a repeat of the same delivery finds its own file and writes
 * no second one. Lines end with LF in mail files: the CRLF of the wire is converted, nothing else is touched.
 */
#ifndef LOCAL_MAILDIR_H
#define LOCAL_MAILDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/error.h"

#define MAILDIR_NAME_SIZE 320

struct maildir_message {
	const char *mail_file;		/* borrowed until the end, as the next four */
	const char *header;		/* what stands above the content: Return-Path and Delivered-To, with LF */
	size_t header_length;
	const char *memory;		/* the content, when body is -1 */
	int body;			/* or a descriptor that is read from offset 0 */
	uint64_t length;
	char name[MAILDIR_NAME_SIZE];	/* maildir_format_name() */
	bool may_be_repeat;		/* look whether a reader has moved it to cur: a search of that folder */

	/* maildir.c's own */
	int tmp_folder;
	int new_folder;
	int file;
	bool there;			/* it was delivered before */
	bool named;			/* it has its name in new */
	dev_t device;			/* of the folder new */
	ino_t inode;
};

/* Whether a name is safe as a path beneath the folder of all mail files. */
bool maildir_name_is_valid(const char *mail_file);

/* Seconds of the arrival, message and recipient, host: always the same for the same delivery. */
void maildir_format_name(int64_t arrival_ms, uint64_t message_id, uint32_t recipient, const char *host,
    char name[static MAILDIR_NAME_SIZE]);

/* The steps. Each returns -1 and an error when it failed; then only maildir_end() follows. root is the folder of all. */
int maildir_write(int root, struct maildir_message *message, struct error *error);
int maildir_flush(struct maildir_message *message, struct error *error);
int maildir_publish(struct maildir_message *message, struct error *error);
int maildir_settle(struct maildir_message *message, struct error *error);
/* Closes; a file without a name is removed. Called once for every message that maildir_write() was called for. */
void maildir_end(struct maildir_message *message);

#endif
