/*
 * controls - judges what a client asks for, by the documents in force
 *
 * A control looks at facts and settings and says what it thinks; it does no I/O and keeps nothing.
 */
#ifndef SMTPD_CONTROLS_CONTROLS_H
#define SMTPD_CONTROLS_CONTROLS_H

#include <stddef.h>

#include "smtpd/recipient.h"
#include "smtpd/reply.h"

struct rules;
struct session_client;

enum control_stage { CONTROL_AT_RCPT };

enum control_verdict {
	CONTROL_PASSES,
	CONTROL_REFUSES,
	CONTROL_ASKS_DIRECTORY,		/* control_judge_finding() judges the answer; then the next control */
};

struct control_judgement {
	enum control_verdict verdict;
	enum reply reply;		/* of a refusal; its argument is the address */
	const char *rule;		/* the setting or document that decided, for the log */
};

struct control_question {
	const struct rules *rules;
	const struct session_client *client;
	const struct recipient *recipient;
};

typedef struct control_judgement control_function(const struct control_question *question);

/* Asks the controls of a stage from number *next on; *next is then the one after the last that was asked. */
struct control_judgement controls_judge(enum control_stage stage, const struct control_question *question,
    size_t *next);

/* What the directory's answer about a recipient means. */
struct control_judgement control_judge_finding(const struct rules *rules, enum recipient_finding finding);

#define CONTROL(symbol, stage, function, meaning) control_function function;
#include "smtpd/controls/controls.def"
#undef CONTROL

#endif
