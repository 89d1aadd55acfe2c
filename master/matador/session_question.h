/*
 * session_question - asks the running listener what its inbound controls would say to a session
 *
 * Owns:   the pair with smtpd (master made it), and what was told.
 * Fails:  a listener that ends the conversation or does not answer is an error.
 */
#ifndef MASTER_MATADOR_SESSION_QUESTION_H
#define MASTER_MATADOR_SESSION_QUESTION_H

#include "common/base/error.h"
#include "common/ipc/inspection.h"

/* A control of the listener. Texts are owned by the told session. */
struct session_step {
	enum inspection_stage stage;
	enum inspection_verdict verdict;
	char *control;
	char *rule;			/* the key of the setting that decided; "" for none */
	char *entry;			/* the list entry that decided; "" for none */
	char *file;			/* where that stands; "" for a default */
	uint32_t line;
	char *found;			/* what was looked at, in words */
	char *reply;			/* of a refusal */
};

struct told_session {
	struct session_step *steps;
	size_t step_count;
	enum inspection_outcome outcome;
	enum inspection_stage stage;	/* where it was refused */
	char *reply;
};

/* Takes over socket, the end of a pair with smtpd. -1 and an error, ERROR_INVALID when the question makes no sense.
 * What was told is to be freed in either case. */
int session_question_ask(const struct inspection_question *question, int socket, struct told_session *told_out,
    struct error *error);
void told_session_free(struct told_session *told);

#endif
