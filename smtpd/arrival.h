/* arrival - a client that is not greeted yet: the controls of stage CONNECT, then the greeting, or a refusal instead */
#ifndef SMTPD_ARRIVAL_H
#define SMTPD_ARRIVAL_H

struct session;

/* Judges a new session; greets it at once when no control needs anything. */
void arrival_begin(struct session *session);
/* Goes on when the fact that it waited for is known. */
void arrival_continue(struct session *session);

#endif
