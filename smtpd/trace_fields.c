/* trace_fields - see trace_fields.h */
#include "smtpd/trace_fields.h"

#include <string.h>

#include "common/mail/header_field.h"
#include "smtpd/session.h"
#include "smtpd/spf_verdict.h"

#define VALUE_MAX 4096

/* RFC 5322 3.2.3: words of atoms with single dots between them. Of what RFC 2045 calls a token, all but its odd dots. */
static bool
is_dot_atom(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f || strchr("()<>@,;:\\\"/[]?=", text[i]) != NULL ||
		    (text[i] == '.' && (i == 0 || i + 1 == length || text[i - 1] == '.')))
			return false;
	return length > 0;
}

/* The only form in which a value may hold an @ and not be quoted, in Authentication-Results alone (RFC 8601 2.2). */
static bool
is_plain_address(const char *text)
{
	const char *at = strchr(text, '@');

	return at != NULL && is_dot_atom(text, (size_t)(at - text)) && is_dot_atom(at + 1, strlen(at + 1));
}

/* What is not printable ASCII becomes '?', so that the message needs no SMTPUTF8 for our words. */
static void
append_quoted(struct buffer *out, const char *text)
{
	buffer_append_byte(out, '"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			buffer_append_byte(out, '\\');
		buffer_append_byte(out, (unsigned char)*text < ' ' || (unsigned char)*text >= 0x7f ? '?' : *text);
	}
	buffer_append_byte(out, '"');
}

static void
append_pair(struct buffer *out, const char *key, const char *value)
{
	buffer_printf(out, " %s=", key);
	if (is_dot_atom(value, strlen(value)))
		buffer_append_string(out, value);
	else
		append_quoted(out, value);
}

static void
append_address(struct buffer *out, const char *key, const char *address)
{
	if (is_plain_address(address))
		buffer_printf(out, " %s=%s", key, address);
	else
		append_pair(out, key, address);
}

static void
append_results(struct buffer *out, const struct session *session)
{
	const struct transaction_trace *trace = &session->transaction->trace;
	const char *sender = session->transaction->envelope.sender;
	struct buffer value = BUFFER_INITIALIZER(VALUE_MAX);

	buffer_append_string(&value, rules_host_name(session->rules));
	if (sender[0] != '\0') {
		buffer_printf(&value, "; spf=%s", spf_verdict_word(trace->spf_mail));
		append_address(&value, "smtp.mailfrom", sender);
	}
	buffer_printf(&value, "; spf=%s", spf_verdict_word(trace->spf_helo));
	append_pair(&value, "smtp.helo", session->helo);
	header_field_append(out, "Authentication-Results", buffer_text(&value));
	buffer_free(&value);
}

static bool
is_error(enum spf_verdict verdict)
{
	return verdict == SPF_VERDICT_PERMERROR || verdict == SPF_VERDICT_TEMPERROR;
}

/* There is one text: that of a fail of HELO, which is final, else what MAIL FROM has to say, else what HELO has. */
static bool
problem_is_of_helo(const struct transaction *transaction)
{
	enum spf_verdict mail = transaction->trace.spf_mail;

	return transaction->trace.spf_helo == SPF_VERDICT_FAIL || transaction->envelope.sender[0] == '\0' ||
	    (mail != SPF_VERDICT_FAIL && !is_error(mail));
}

static void
append_received_spf(struct buffer *out, const struct session *session, bool is_helo)
{
	const struct transaction *transaction = session->transaction;
	const struct transaction_trace *trace = &transaction->trace;
	enum spf_verdict verdict = is_helo ? trace->spf_helo : trace->spf_mail;
	struct buffer value = BUFFER_INITIALIZER(VALUE_MAX);

	buffer_append_string(&value, spf_verdict_word(verdict));
	append_pair(&value, "receiver", rules_host_name(session->rules));
	buffer_append_byte(&value, ';');
	append_pair(&value, "client-ip", session->client.address);
	buffer_append_byte(&value, ';');
	append_pair(&value, "envelope-from", transaction->envelope.sender);
	buffer_append_byte(&value, ';');
	append_pair(&value, "helo", session->helo);
	buffer_append_byte(&value, ';');
	append_pair(&value, "identity", is_helo ? "helo" : "mailfrom");
	if (is_error(verdict) && problem_is_of_helo(transaction) == is_helo && trace->spf_text != NULL &&
	    trace->spf_text[0] != '\0') {
		buffer_append_byte(&value, ';');
		append_pair(&value, "problem", trace->spf_text);
	}
	header_field_append(out, "Received-SPF", buffer_text(&value));
	buffer_free(&value);
}

static void
append_spf(struct buffer *out, const struct session *session)
{
	const struct transaction_trace *trace = &session->transaction->trace;
	bool has_sender = session->transaction->envelope.sender[0] != '\0';

	append_results(out, session);
	if (has_sender)
		append_received_spf(out, session, false);
	if (!has_sender || trace->spf_helo != SPF_VERDICT_NONE)
		append_received_spf(out, session, true);
	if (trace->tags_spf)
		header_field_append(out, "$SPFResult", spf_verdict_word(has_sender &&
		    trace->spf_helo != SPF_VERDICT_FAIL ? trace->spf_mail : trace->spf_helo));
}

void
trace_fields_append(struct buffer *out, const struct session *session)
{
	const struct transaction_trace *trace = &session->transaction->trace;

	if (trace->has_spf)
		append_spf(out, session);
	if (trace->dnsbl_site != NULL)
		header_field_append(out, "$DNSBLSite", trace->dnsbl_site);
	if (trace->dnswl_site != NULL)
		header_field_append(out, "$DNSWLSite", trace->dnswl_site);
}
