/*
 * transaction - one message to some recipients over one session
 *
 * Made by the driver, judged by the session: every recipient gets at most one verdict.
 */
#ifndef SMTP_TRANSACTION_H
#define SMTP_TRANSACTION_H

#include <stddef.h>

#include "common/mail/envelope.h"
#include "smtp/content_stream.h"
#include "smtp/reply_judgement.h"

enum recipient_progress {
	PROGRESS_WAITING,		/* RCPT not answered */
	PROGRESS_ACCEPTED,		/* RCPT answered with 2yz */
	PROGRESS_JUDGED,
	PROGRESS_AGAIN,			/* the transaction was full: belongs into another one on the same session */
};

struct transaction {
	const struct envelope *envelope;			/* borrowed: sender, parameters */
	struct content_source content;
	const struct envelope_recipient **recipients;		/* borrowed array */
	enum recipient_progress *progress;			/* borrowed array, all PROGRESS_WAITING */
	size_t count;
	bool only_asks;			/* ends behind RCPT, whose reply alone is the verdict; a refusal of MAIL defers */
	void (*judge)(void *context, const struct envelope_recipient *recipient,
	    const struct reply_judgement *judgement);
	void *context;
};

/* Gives one recipient its verdict, unless it has one. */
void transaction_judge(struct transaction *transaction, size_t index, const struct reply_judgement *judgement);
/* Judges every recipient that stands at progress. */
void transaction_judge_all(struct transaction *transaction, enum recipient_progress progress,
    const struct reply_judgement *judgement);

#endif
