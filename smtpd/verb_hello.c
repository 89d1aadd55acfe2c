/* verb_hello - EHLO and HELO: who the client says it is, and what we offer */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/attributes.h"
#include "common/base/memory.h"
#include "smtpd/helo.h"
#include "smtpd/session.h"
#include "smtpd/verb.h"

static bool
say_hello(struct session *session, const char *helo, size_t length, bool is_esmtp)
{
	if (!helo_is_acceptable(helo, length)) {
		session_reply(session, REPLY_BAD_ARGUMENT, "A domain or address literal is expected");
		return false;
	}
	session_end_transaction(session);
	free(session->helo);
	session->helo = memory_copy(helo, length);
	session->is_esmtp = is_esmtp;
	session_enter(session, SESSION_READY);
	return true;
}

static void
append_hello(struct session *session, bool more)
{
	char text[REPLY_LINE_MAX];

	snprintf(text, sizeof(text), "%s Hello %s ([%s])", rules_host_name(session->rules), session->helo,
	    session->client.address);
	reply_append(&session->output, REPLY_HELLO, text, false, more);
}

void
verb_helo(struct session *session, const char *argument, size_t length)
{
	if (say_hello(session, argument, length, false))
		append_hello(session, false);
}

void
verb_ehlo(struct session *session, const char *argument, size_t length)
{
	const struct document_configuration *configuration = rules_configuration(session->rules);
	const struct parameters_allowed *allowed = &session->rules->parameters;
	const char *own = local_domains_own(session->rules->local_domains);
	char size[32], own_domain[REPLY_LINE_MAX];
	const struct {
		bool offered;
		const char *line;
	} extensions[] = {
		{ configuration->smtp_in_pipelining.number, "PIPELINING" },
		{ allowed->size, size },
		{ allowed->eightbitmime, "8BITMIME" },
		{ allowed->smtputf8, "SMTPUTF8" },
		{ allowed->dsn, "DSN" },
		{ configuration->smtp_in_chunking.number, "CHUNKING" },
		{ configuration->smtp_in_help.number, "HELP" },
		{ configuration->smtp_in_vrfy.number, "VRFY" },
		/* only for the control command: what completes an address without a domain */
		{ session->client.is_local_user && own[0] != '\0', own_domain },
	};

	if (!say_hello(session, argument, length, true))
		return;
	snprintf(size, sizeof(size), "SIZE %" PRIu64, session->rules->maximum_size);
	snprintf(own_domain, sizeof(own_domain), "XDOMAIN %s", own);
	append_hello(session, true);
	for (size_t i = 0; i < ARRAY_COUNT(extensions); i++)
		if (extensions[i].offered)
			reply_append(&session->output, REPLY_HELLO, extensions[i].line, false, true);
	reply_append(&session->output, REPLY_HELLO, "ENHANCEDSTATUSCODES", false, false);
}
