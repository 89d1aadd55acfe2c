/*
 * judging - a session's way through the controls of a stage
 *
 * Joins the controls, which only look at facts, to the session that has the facts: what is known, what is found out, what a
 * verdict leaves behind in the log, in the statistics and in the tags of a message.
 */
#ifndef SMTPD_JUDGING_H
#define SMTPD_JUDGING_H

#include "smtpd/session.h"

struct recipient;

/* Fills in the facts that are plain to see. */
void judging_describe_client(struct session *session);
/* Gives back what stage CLIENT found out. */
void judging_forget_client(struct session *session);

/* Begins a stage. */
void judging_start(struct session *session, enum control_stage stage);
/* Asks the controls on, see control_walk_on(). recipient is NULL before RCPT. */
enum control_verdict judging_continue(struct session *session, const struct recipient *recipient,
    struct control_judgement *judgement_out);
/* The session waits in that state until the fact is known. */
void judging_wait(struct session *session, enum session_state state, enum fact fact);
/* Takes an answer into what is known; one that belongs to nothing any more is dropped. */
void judging_learn(struct session *session, const struct fact_answer *answer);

/* Logs that a control refused the client or its sender. */
void judging_log_refusal(const struct session *session, enum control_number control,
    const struct control_judgement *judgement);

#endif
