/*
 * recipient - a RCPT between its syntax and its reply: the controls, the directory, the limit
 */
#ifndef SMTPD_RECIPIENT_H
#define SMTPD_RECIPIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/mail/address.h"
#include "smtpd/parameters.h"

struct session;

/* A recipient that is being judged. */
struct recipient {
	struct address address;
	struct rcpt_parameters parameters;
	bool is_local;			/* its domain is a local Internet domain */
	const char *primary_domain;	/* when the domain is an alias; borrowed from the rules */
	size_t next_control;		/* where the controls go on after the directory has answered */
};

/* What the directory says of a recipient. */
enum recipient_finding { RECIPIENT_IS_UNKNOWN, RECIPIENT_IS_PERSON, RECIPIENT_IS_GROUP, RECIPIENT_IS_AMBIGUOUS,
	RECIPIENT_CANNOT_BE_FOUND_NOW };

/* Judges a recipient that is well formed, and answers it now or after recipient_found(). Takes recipient over. */
void recipient_judge(struct session *session, struct recipient *recipient);

/* The directory's answer about session->recipient. */
void recipient_found(struct session *session, enum recipient_finding finding);

#endif
