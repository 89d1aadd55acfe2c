/* received - see received.h */
#include "smtpd/received.h"

#include <stdio.h>
#include <string.h>

#include "common/base/identifier.h"
#include "smtpd/session.h"

#define HELO_SHOWN 255		/* octets of what the client called itself */
#define ADDRESS_SHOWN 320	/* octets; a longer recipient is left out of "for" */

/* Octets that a domain or an address literal may have; everything else becomes '?'. */
static void
append_helo(struct buffer *out, const char *helo)
{
	size_t length = strnlen(helo, HELO_SHOWN);

	for (size_t i = 0; i < length; i++) {
		char octet = helo[i];
		bool is_plain = (octet >= 'a' && octet <= 'z') || (octet >= 'A' && octet <= 'Z') ||
		    (octet >= '0' && octet <= '9') || (octet != '\0' && strchr(".-_:", octet) != NULL) ||
		    (octet == '[' && i == 0 && helo[length - 1] == ']' && length > 2) ||
		    (octet == ']' && i > 0 && i == length - 1 && helo[0] == '[');

		buffer_append_byte(out, is_plain ? octet : '?');
	}
	if (length == 0)
		buffer_append_string(out, "unknown");
}

static void
append_from(struct buffer *out, const struct session *session)
{
	const struct session_client *client = &session->client;
	const char *name = session->transaction->trace.client_name;

	buffer_append_string(out, "from ");
	append_helo(out, session->helo != NULL ? session->helo : "");
	buffer_append_string(out, " (");
	if (name != NULL)
		buffer_printf(out, "%s ", name);
	buffer_printf(out, "[%s%s])\r\n\t", strchr(client->address, ':') != NULL ? "IPv6:" : "", client->address);
}

/* A "for" beyond ASCII would make the message need SMTPUTF8 at its next hop, for nothing but our own words. */
static bool
can_be_shown(const char *address)
{
	size_t length = strlen(address);

	for (size_t i = 0; i < length; i++)
		if ((unsigned char)address[i] > 127)
			return false;
	return length <= ADDRESS_SHOWN;
}

void
received_append(struct buffer *out, const struct session *session)
{
	const struct envelope *envelope = &session->transaction->envelope;
	const struct document_configuration *configuration = rules_configuration(session->rules);
	char id[IDENTIFIER_TEXT_SIZE], date[40];

	identifier_format(envelope->id, id);
	clock_format_rfc5322(envelope->arrival_ms, date);
	buffer_append_string(out, "Received: ");
	if (!session->client.is_local_user)
		append_from(out, session);
	buffer_printf(out, "by %s (Matador", rules_host_name(session->rules));
	if (!configuration->hide_version_in_received.number)
		buffer_printf(out, " %s", MATADOR_VERSION);
	if (session->client.is_local_user)
		buffer_printf(out, ", from user id %u", session->client.user_id);
	buffer_append_string(out, ")\r\n\t");
	if (!session->client.is_local_user)
		buffer_printf(out, "with %s ", envelope->protocol);
	buffer_printf(out, "id %s", id);
	if (envelope->recipient_count == 1 && can_be_shown(envelope->recipients[0].address))
		buffer_printf(out, "\r\n\tfor <%s>", envelope->recipients[0].address);
	buffer_printf(out, ";\r\n\t%s\r\n", date);
}
