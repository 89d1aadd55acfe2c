/*
 * receive - the content of a message on its way through a session, by DATA or by BDAT
 *
 * Content stays in memory up to inline_body_limit. When it grows beyond, or when all sessions together hold more
 * than content_memory_limit, it moves to a body file that qmgr gives.
 */
#ifndef SMTPD_RECEIVE_H
#define SMTPD_RECEIVE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/ipc/deposit.h"
#include "smtpd/reply.h"

struct session;

/* Begins the content: gives the message its id and writes our Received field. Otherwise the reply and its
 * argument. */
enum reply receive_begin(struct session *session, bool is_dotted, const char **text_out);

/* Octets in the states DATA and CHUNK; returns how many were taken. */
size_t receive_data(struct session *session, const char *data, size_t length);
size_t receive_chunk(struct session *session, const char *data, size_t length);
/* The chunk has no octets left to come. */
void receive_end_chunk(struct session *session);

/* A body file, the session's from now on; or why there is none. */
void receive_body_file(struct session *session, int file, enum deposit_outcome outcome, const char *text);
/* transaction->data, and behind it what is lent, was appended to the body file; or the errno of the attempt. */
void receive_body_written(struct session *session, int error_number);
/* The body file is gone with the qmgr that gave it. */
void receive_body_lost(struct session *session);
/* qmgr has the message on stable storage; or why not. */
void receive_deposited(struct session *session, enum deposit_outcome outcome, const char *text);

#endif
