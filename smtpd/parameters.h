/*
 * parameters - the parameters behind the path of MAIL and RCPT: SIZE, BODY, SMTPUTF8 and those of RFC 3461
 *
 * Trusts: nobody. A parameter that is malformed, unknown or there twice refuses the command whole. What is decoded
 *         from xtext holds no controls, so it can make no line end in a queue, a log or a report.
 */
#ifndef SMTPD_PARAMETERS_H
#define SMTPD_PARAMETERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/mail/envelope.h"
#include "smtpd/reply.h"

#define PARAMETER_ENVID_MAX 100		/* octets as sent, RFC 3461 4.4 */
#define PARAMETER_ORCPT_MAX 500		/* 4.2 */
#define PARAMETER_TEXT_MAX 80		/* octets of a refusal's text */

/* What the extensions switched on allow. */
struct parameters_allowed {
	bool size;
	bool eightbitmime;
	bool smtputf8;
	bool dsn;
};

struct mail_parameters {
	uint64_t size;			/* 0: not given */
	enum message_body body;
	bool smtputf8;
	enum message_return ret;
	char envid[PARAMETER_ENVID_MAX + 1];	/* decoded; "" when not given */
	unsigned seen;
};

struct rcpt_parameters {
	uint8_t notify;
	char original[PARAMETER_ORCPT_MAX + 1];	/* decoded; "" when not given */
	unsigned seen;
};

/* Why a command is refused: the reply, and its argument. */
struct parameter_refusal {
	enum reply reply;
	char text[PARAMETER_TEXT_MAX];
};

/* All of text, which begins with a blank or is empty. False and a refusal. */
bool mail_parameters_parse(const char *text, size_t length, const struct parameters_allowed *allowed,
    struct mail_parameters *parameters_out, struct parameter_refusal *refusal_out);
bool rcpt_parameters_parse(const char *text, size_t length, const struct parameters_allowed *allowed,
    struct rcpt_parameters *parameters_out, struct parameter_refusal *refusal_out);

#endif
