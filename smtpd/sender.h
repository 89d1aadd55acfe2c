/*
 * sender - a MAIL between its syntax and its reply: who the client is, once a session, then what its sender is
 *
 * The transaction is there already: it is kept when the sender is accepted.
 */
#ifndef SMTPD_SENDER_H
#define SMTPD_SENDER_H

struct session;

/* Judges the sender of the session's transaction, and answers MAIL now or when what the controls need is known. */
void sender_judge(struct session *session);
/* Goes on when the fact that it waited for is known. */
void sender_continue(struct session *session);

#endif
