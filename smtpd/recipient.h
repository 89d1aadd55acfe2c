/*
 * recipient - a RCPT between its syntax and its reply: the controls and the limit
 */
#ifndef SMTPD_RECIPIENT_H
#define SMTPD_RECIPIENT_H

#include "smtpd/facts.h"
#include "smtpd/parameters.h"

struct session;

/* A recipient that is being judged. */
struct recipient {
	struct known_recipient known;
	struct rcpt_parameters parameters;
};

struct recipient *recipient_new(void);
/* The pointer is cleared; NULL is accepted. */
void recipient_free(struct recipient **recipient);

/* Judges a recipient that is well formed, and answers it now or when what the controls need is known. Takes recipient
 * over. */
void recipient_judge(struct session *session, struct recipient *recipient);
/* Goes on when the fact that it waited for is known. */
void recipient_continue(struct session *session);

#endif
