/*
 * reply_judgement - what a reply, or its absence, means for a recipient
 *
 * A reply's first digit decides between done, later and never; its enhanced status code is believed when it
 * has the right form and agrees with that digit, otherwise one is derived. Of several lines the last is
 * quoted.
 */
#ifndef SMTP_REPLY_JUDGEMENT_H
#define SMTP_REPLY_JUDGEMENT_H

#include "common/mail/delivery_result.h"
#include "common/net/smtp_reply.h"

struct reply_judgement {
	enum delivery_outcome outcome;
	enum failure_class failure;
	bool host_failed;
	bool dsn_relayed;
	char status[16];
	char text[ENVELOPE_TEXT_MAX + 1];	/* one line of printable octets */
};

/* What was asked when the reply came: the same code means different things. */
enum reply_asked { REPLY_TO_GREETING, REPLY_TO_MAIL, REPLY_TO_RCPT, REPLY_TO_DATA, REPLY_TO_CONTENT };

/* Judges a complete reply of 2yz (done), 4yz or 5yz. Any other is deferred as a violation. */
void reply_judge(const struct smtp_reply *reply, enum reply_asked asked, struct reply_judgement *judgement_out);

/* Puts status and a formatted text, made one line, under an outcome that we found ourselves. */
void judgement_set(struct reply_judgement *judgement, enum delivery_outcome outcome, enum failure_class failure,
    const char *status, const char *format, ...) PRINTF_LIKE(5, 6);

/* Whether a refused RCPT only says that the transaction is full: try again in another on the same session. */
bool reply_says_too_many_recipients(const struct smtp_reply *reply);

#endif
