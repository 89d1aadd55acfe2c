/*
 * call_out - asks a next hop whether it knows a recipient: MAIL FROM:<>, RCPT TO, RSET
 *
 * Owns:   the connection in use while it asks.
 * Gives:  one result for each call-out, within call_out_timeout. Only the reply to RCPT decides: 2yz is acceptance,
 *         5yz denial; all else, a refusal of the null sender too, is silence. An address that the host cannot be
 *         given at all (smtp/suitability.h) counts as denied.
 * Bounds: CALL_OUTS_MAX at a time, with those that are told and wait for the reply to RSET; more are answered by
 *         silence at once.
 *
 * The way to the host is that of a message: an idle session with it, or the next host that takes one (host_walk.h),
 * which is kept for whoever comes next. A session that is about to be idle, behind another call-out that has its
 * verdict, is waited for: quick verdicts pile up no sessions. Nothing is ever sent behind RCPT but RSET.
 * No host counts as failed because a call-out failed: whoever causes call-outs could stop the mail to it.
 */
#ifndef SMTP_CALL_OUT_H
#define SMTP_CALL_OUT_H

#include "common/ipc/deliver.h"
#include "smtp/outbound.h"

#define CALL_OUTS_MAX 256

/* The answer; text is lent, at most CALL_OUT_TEXT_MAX octets of it are told. */
typedef void (*call_out_done_cb)(void *context, uint64_t number, enum call_out_outcome outcome, const char *text);

/* Begins; done is called from inside when there is nothing to wait for. */
void call_out_start(struct outbound *outbound, const struct call_out_job *job, call_out_done_cb done, void *context);
/* Ends all without a result: the program leaves. */
void call_outs_abandon(struct outbound *outbound);

#endif
