/*
 * verb - the functions of verbs.def, one for each command
 *
 * argument is what stands behind the verb and its blank: printable octets, UTF-8 perhaps, not terminated.
 */
#ifndef SMTPD_VERB_H
#define SMTPD_VERB_H

#include <stddef.h>

struct session;

typedef void verb_function(struct session *session, const char *argument, size_t length);

/* Runs one command line (without CRLF). */
void verb_run(struct session *session, const char *line, size_t length);

verb_function verb_ehlo, verb_helo, verb_mail, verb_rcpt, verb_data, verb_bdat, verb_rset, verb_noop, verb_quit,
	verb_help, verb_vrfy, verb_not_implemented, verb_of_another_protocol;

#endif
