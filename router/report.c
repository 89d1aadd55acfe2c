/* report - see report.h */
#include "router/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/identifier.h"
#include "common/base/memory.h"
#include "common/mail/header_field.h"
#include "common/base/utf8.h"
#include "router/failure_text.h"

#define READABLE_RECIPIENTS_MAX 100	/* of them in the part for people */
#define LINE_OCTETS 900			/* pieces of lines that are too long */
#define TEXT_ROOM 5000			/* one value with its label */
#define BOUNDARY_RANDOM 20

struct report {
	const struct settings *settings;
	enum report_kind kind;
	const struct envelope *original;
	const char *header;
	size_t header_length;
	int64_t now_ms;
	const struct envelope_recipient **recipients;	/* those that want it */
	size_t count;
	bool utf8;		/* RFC 6533 */
	struct buffer text;	/* the three parts */
	struct buffer status;
	struct buffer returned;
};

static bool
is_wanted(enum report_kind kind, const struct envelope_recipient *recipient)
{
	static const uint8_t bits[] = { [REPORT_FAILURE] = NOTIFY_FAILURE, [REPORT_DELAY] = NOTIFY_DELAY,
		[REPORT_SUCCESS] = NOTIFY_SUCCESS };

	if (recipient->notify & NOTIFY_NEVER)
		return false;
	/* Without NOTIFY failures are reported, and delays may be (RFC 3461 4.1). */
	return recipient->notify == 0 ? kind != REPORT_SUCCESS : (recipient->notify & bits[kind]) != 0;
}

/* A text of any origin on one line: no controls, and no octets above 127 where they have no place. */
static const char *
clean(const struct report *report, const char *text, char *out, size_t size)
{
	size_t length = strnlen(text == NULL ? "" : text, size - 1);
	bool keep;

	/* A character that was cut in two at the end goes. */
	while (length > 0 && text[length] != '\0' && ((unsigned char)text[length] & 0xc0) == 0x80)
		length--;
	keep = report->utf8 && utf8_is_valid(text == NULL ? "" : text, length);
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		out[i] = c < ' ' || c == 127 || (c >= 128 && !keep) ? '?' : (char)c;
	}
	out[length] = '\0';
	return out;
}

static void
line(struct buffer *part, const char *format, ...) PRINTF_LIKE(2, 3);

/* Appends one line, in pieces when it is longer than a line may be. */
static void
line(struct buffer *part, const char *format, ...)
{
	char text[TEXT_ROOM];
	va_list arguments;
	const char *rest = text;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	while (strlen(rest) > LINE_OCTETS) {
		size_t cut = LINE_OCTETS;

		while (cut > LINE_OCTETS - 4 && ((unsigned char)rest[cut] & 0xc0) == 0x80)
			cut--;
		buffer_append(part, rest, cut);
		buffer_append_string(part, "\r\n    ");
		rest += cut;
	}
	buffer_append_string(part, rest);
	buffer_append_string(part, "\r\n");
}

/* Appends a text of several lines, as an administrator wrote it. */
static void
paragraph(const struct report *report, struct buffer *part, const char *text)
{
	while (*text != '\0') {
		size_t length = strcspn(text, "\r\n");
		char *raw = memory_copy(text, length), *cleaned = memory_new(length + 1, 1);

		clean(report, raw, cleaned, length + 1);
		line(part, "%s", cleaned);
		free(raw);
		free(cleaned);
		text += length;
		text += text[0] == '\r' && text[1] == '\n' ? 2 : text[0] != '\0';
	}
	buffer_append_string(part, "\r\n");
}

static const char *
reason_of(const struct report *report, const struct envelope_recipient *recipient, char *out, size_t size)
{
	if (recipient->reason != NULL)
		return clean(report, recipient->reason, out, size);
	snprintf(out, size, "%s", report->kind == REPORT_SUCCESS ? "delivered" :
	    failure_text_summary(recipient->failure));
	return out;
}

/* Whether the reason is a reply of the far server, not what we say about it. */
static bool
is_remote_reply(const struct envelope_recipient *recipient)
{
	const char *reason = recipient->reason;

	return recipient->remote_host != NULL && reason != NULL && strchr("2345", reason[0]) != NULL &&
	    strspn(reason, "0123456789") == 3 && (reason[3] == ' ' || reason[3] == '-' || reason[3] == '\0');
}

/* "  Subject: ..." and the like of the original, for people. */
static void
write_original_facts(struct report *report)
{
	static const char *const names[] = { "Subject", "Date", "Message-ID" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct header_field field;
		char raw[900], text[900];

		if (!header_field_find(report->header, report->header_length, names[i], &field))
			continue;
		header_field_text(&field, raw, sizeof(raw));
		line(&report->text, "  %s: %s", names[i], clean(report, raw, text, sizeof(text)));
	}
	buffer_append_string(&report->text, "\r\n");
}

static void
write_readable_recipients(struct report *report)
{
	char address[ENVELOPE_TEXT_MAX + 1], reason[ENVELOPE_TEXT_MAX + 1], host[300];

	for (size_t i = 0; i < report->count && i < READABLE_RECIPIENTS_MAX; i++) {
		const struct envelope_recipient *recipient = report->recipients[i];

		line(&report->text, "  %s", clean(report, recipient->address, address, sizeof(address)));
		reason_of(report, recipient, reason, sizeof(reason));
		if (is_remote_reply(recipient))
			line(&report->text, "      %s said: %s",
			    clean(report, recipient->remote_host, host, sizeof(host)), reason);
		else
			line(&report->text, "      %s", reason);
	}
	if (report->count > READABLE_RECIPIENTS_MAX)
		line(&report->text, "  and %zu more recipients", report->count - READABLE_RECIPIENTS_MAX);
	buffer_append_string(&report->text, "\r\n");
}

/* What each class that occurs means, and what the administrator adds to it. */
static void
write_classes(struct report *report)
{
	bool seen[FAILURE_CLASS_COUNT] = { false };

	for (size_t i = 0; i < report->count; i++)
		seen[report->recipients[i]->failure] = true;
	for (int failure = FAILURE_NONE + 1; failure < FAILURE_CLASS_COUNT; failure++) {
		if (!seen[failure] || report->kind != REPORT_FAILURE)
			continue;
		paragraph(report, &report->text, failure_text_summary((enum failure_class)failure));
		if (failure_text_added(report->settings, report->kind, (enum failure_class)failure)[0] != '\0')
			paragraph(report, &report->text,
			    failure_text_added(report->settings, report->kind, (enum failure_class)failure));
	}
	if (report->kind == REPORT_DELAY &&
	    failure_text_added(report->settings, report->kind, FAILURE_NONE)[0] != '\0')
		paragraph(report, &report->text, failure_text_added(report->settings, report->kind, FAILURE_NONE));
}

static void
write_text(struct report *report)
{
	static const char *const verdicts[] = { [REPORT_FAILURE] = "was not delivered to:",
		[REPORT_DELAY] = "has not been delivered yet, and delivery is still being tried, to:",
		[REPORT_SUCCESS] = "was delivered, or passed on to a system that sends no further confirmation, to:" };

	line(&report->text, "This report comes from the mail system at %s.",
	    report->settings->server.internet_host_name.text);
	buffer_append_string(&report->text, "\r\nYour message\r\n\r\n");
	write_original_facts(report);
	line(&report->text, "%s", verdicts[report->kind]);
	buffer_append_string(&report->text, "\r\n");
	write_readable_recipients(report);
	write_classes(report);
	if (report->kind == REPORT_DELAY)
		line(&report->text, "You need not send the message again.");
}

/* "5.1.1": a class, a subject and a detail. */
static bool
is_status(const char *status)
{
	unsigned class, subject, detail;
	int used = 0;

	return status != NULL && strlen(status) <= 9 &&
	    sscanf(status, "%1u.%3u.%3u%n", &class, &subject, &detail, &used) == 3 && status[used] == '\0' &&
	    (class == 2 || class == 4 || class == 5) && strspn(status, "0123456789.") == (size_t)used;
}

static const char *
status_of(enum report_kind kind, const struct envelope_recipient *recipient)
{
	static const char *const unknown[] = { [REPORT_FAILURE] = "5.0.0", [REPORT_DELAY] = "4.0.0",
	    [REPORT_SUCCESS] = "2.0.0" };
	static const char *const classes[] = { [REPORT_FAILURE] = "45", [REPORT_DELAY] = "4",
	    [REPORT_SUCCESS] = "2" };

	/* "Delivery time expired": what the last attempt met stands in Diagnostic-Code. */
	if (kind == REPORT_FAILURE && recipient->failure == FAILURE_EXPIRATION)
		return "4.4.7";
	if (!is_status(recipient->status) || strchr(classes[kind], recipient->status[0]) == NULL)
		return unknown[kind];
	return recipient->status;
}

static const char *
action_of(enum report_kind kind, const struct envelope_recipient *recipient)
{
	if (kind == REPORT_FAILURE)
		return "failed";
	if (kind == REPORT_DELAY)
		return "delayed";
	if (recipient->state == RECIPIENT_EXPANDED)
		return "expanded";
	return recipient->transport == TRANSPORT_SMTP ? "relayed" : "delivered";
}

static bool
is_ascii(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text >= 128)
			return false;
	return true;
}

static void
write_addresses(struct report *report, const struct envelope_recipient *recipient)
{
	char value[ENVELOPE_TEXT_MAX + 20], address[ENVELOPE_TEXT_MAX + 1];

	if (recipient->original != NULL)
		header_field_append(&report->status, "Original-Recipient",
		    clean(report, recipient->original, address, sizeof(address)));
	clean(report, recipient->address, address, sizeof(address));
	snprintf(value, sizeof(value), "%s; %s", strchr(address, '@') == NULL ? "x-notes" : is_ascii(address) ?
	    "rfc822" : "utf-8", address);
	header_field_append(&report->status, "Final-Recipient", value);
}

/* When an undelivered message is given up. */
static int64_t
expiry_ms(const struct report *report)
{
	const struct document_configuration *configuration = &report->settings->configuration;
	int64_t seconds = configuration->mail_timeout_minutes.number > 0 ?
	    configuration->mail_timeout_minutes.number : configuration->mail_timeout_days.number;

	return report->original->arrival_ms + seconds * 1000;
}

static void
write_recipient_status(struct report *report, const struct envelope_recipient *recipient)
{
	char value[ENVELOPE_TEXT_MAX + 20], text[ENVELOPE_TEXT_MAX + 1], date[40];

	buffer_append_string(&report->status, "\r\n");
	write_addresses(report, recipient);
	header_field_append(&report->status, "Action", action_of(report->kind, recipient));
	header_field_append(&report->status, "Status", status_of(report->kind, recipient));
	if (recipient->remote_host != NULL) {
		snprintf(value, sizeof(value), "dns; %s",
		    clean(report, recipient->remote_host, text, sizeof(text)));
		header_field_append(&report->status, "Remote-MTA", value);
	}
	if (recipient->reason != NULL) {
		snprintf(value, sizeof(value), "%s; %s", is_remote_reply(recipient) ? "smtp" : "x-matador",
		    reason_of(report, recipient, text, sizeof(text)));
		header_field_append(&report->status, "Diagnostic-Code", value);
	}
	if (report->kind == REPORT_DELAY) {
		clock_format_rfc5322(expiry_ms(report), date);
		header_field_append(&report->status, "Will-Retry-Until", date);
	}
}

static void
write_status(struct report *report)
{
	char value[ENVELOPE_TEXT_MAX + 20], text[ENVELOPE_TEXT_MAX + 1], date[40];

	snprintf(value, sizeof(value), "dns; %s", report->settings->server.internet_host_name.text);
	header_field_append(&report->status, "Reporting-MTA", value);
	if (report->original->envid != NULL)
		header_field_append(&report->status, "Original-Envelope-Id",
		    clean(report, report->original->envid, text, sizeof(text)));
	clock_format_rfc5322(report->original->arrival_ms, date);
	header_field_append(&report->status, "Arrival-Date", date);
	for (size_t i = 0; i < report->count && i < REPORT_RECIPIENTS_MAX &&
	    report->status.length + report->text.length < REPORT_CONTENT_MAX - REPORT_HEADER_MAX; i++)
		write_recipient_status(report, report->recipients[i]);
}

/* The original header, up to its end or the limit, with lawful line ends. */
static void
write_returned(struct report *report)
{
	size_t length = report->header_length < REPORT_HEADER_MAX ? report->header_length : REPORT_HEADER_MAX,
	    at = 0;

	while (at < length) {
		const char *from = report->header + at, *end = memchr(from, '\n', length - at);
		size_t size = end == NULL ? length - at : (size_t)(end - from), used = size;
		char *cleaned, *raw;

		at += size + (end != NULL);
		if (used > 0 && from[used - 1] == '\r')
			used--;
		/* The empty line is the header's end; a last line without an end was cut. */
		if (used == 0 || (end == NULL && report->header_length > REPORT_HEADER_MAX))
			break;
		raw = memory_copy(from, used);
		for (size_t i = 0; i < used; i++)
			raw[i] = raw[i] == '\t' ? ' ' : raw[i] == '\0' ? '?' : raw[i];
		cleaned = memory_new(used + 1, 1);
		clean(report, raw, cleaned, used + 1);
		/* Longer lines than the format of line() holds are cut there. */
		line(&report->returned, "%s", cleaned);
		free(cleaned);
		free(raw);
	}
}

/* A boundary that occurs in no part. */
static void
choose_boundary(const struct report *report, char boundary[static BOUNDARY_RANDOM + 10])
{
	static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

	do {
		char *to = stpcpy(boundary, "=_");

		for (int i = 0; i < BOUNDARY_RANDOM; i++)
			*to++ = letters[arc4random_uniform(sizeof(letters) - 1)];
		*to = '\0';
	} while (strstr(buffer_text(&report->text), boundary) != NULL ||
	    strstr(buffer_text(&report->status), boundary) != NULL ||
	    strstr(buffer_text(&report->returned), boundary) != NULL);
}

static void
write_subject(struct report *report, struct buffer *content)
{
	static const char *const beginnings[] = { [REPORT_FAILURE] = "DELIVERY FAILURE",
	    [REPORT_DELAY] = "DELIVERY DELAY",
		[REPORT_SUCCESS] = "DELIVERY CONFIRMATION" };
	char reason[200], subject[300];

	reason_of(report, report->recipients[0], reason, sizeof(reason));
	snprintf(subject, sizeof(subject), "%s: %s", beginnings[report->kind], reason);
	header_field_append(content, "Subject", subject);
}

/* Ties the report to the original in the sender's mail reader. */
static void
write_references(struct report *report, struct buffer *content)
{
	struct header_field field;
	char raw[900], text[900];

	if (!header_field_find(report->header, report->header_length, "Message-ID", &field))
		return;
	header_field_text(&field, raw, sizeof(raw));
	clean(report, raw, text, sizeof(text));
	if (text[0] != '<' || text[strlen(text) - 1] != '>' || strchr(text, ' ') != NULL)
		return;
	header_field_append(content, "In-Reply-To", text);
	header_field_append(content, "References", text);
}

static void
write_header(struct report *report, struct buffer *content, const char *boundary)
{
	const char *host = report->settings->server.internet_host_name.text;
	char value[ENVELOPE_TEXT_MAX + 200], address[ENVELOPE_TEXT_MAX + 1], date[40], id[IDENTIFIER_TEXT_SIZE];

	clock_format_rfc5322(report->now_ms, date);
	header_field_append(content, "Date", date);
	snprintf(value, sizeof(value), "Mail Delivery Subsystem <postmaster@%s>", host);
	header_field_append(content, "From", value);
	snprintf(value, sizeof(value), "<%s>", clean(report, report->original->sender, address, sizeof(address)));
	header_field_append(content, "To", value);
	write_subject(report, content);
	identifier_format(report->original->id, id);
	snprintf(value, sizeof(value), "<report.%s.%08x%08x@%s>", id, arc4random(), arc4random(), host);
	header_field_append(content, "Message-ID", value);
	write_references(report, content);
	header_field_append(content, "Auto-Submitted", "auto-replied");
	header_field_append(content, "MIME-Version", "1.0");
	snprintf(value, sizeof(value), "multipart/report; report-type=delivery-status; boundary=\"%s\"", boundary);
	header_field_append(content, "Content-Type", value);
	if (report->utf8)
		header_field_append(content, "Content-Transfer-Encoding", "8bit");
	buffer_append_string(content, "\r\n");
}

static void
write_part(const struct report *report, struct buffer *content, const char *boundary, const char *type,
    const struct buffer *part)
{
	buffer_printf(content, "--%s\r\nContent-Type: %s\r\n", boundary, type);
	if (report->utf8)
		buffer_append_string(content, "Content-Transfer-Encoding: 8bit\r\n");
	buffer_append_string(content, "\r\n");
	buffer_append(content, part->data, part->length);
	buffer_append_string(content, "\r\n");
}

static void
write_content(struct report *report, struct buffer *content)
{
	char boundary[BOUNDARY_RANDOM + 10];

	write_text(report);
	write_status(report);
	write_returned(report);
	choose_boundary(report, boundary);
	write_header(report, content, boundary);
	write_part(report, content, boundary, report->utf8 ? "text/plain; charset=utf-8" :
	    "text/plain; charset=us-ascii", &report->text);
	write_part(report, content, boundary, report->utf8 ? "message/global-delivery-status" :
	    "message/delivery-status", &report->status);
	write_part(report, content, boundary, report->utf8 ? "message/global-headers" : "text/rfc822-headers",
	    &report->returned);
	buffer_printf(content, "--%s--\r\n", boundary);
}

static void
write_envelope(const struct report *report, struct envelope *envelope)
{
	envelope_init(envelope);
	envelope->sender = memory_copy_string("");
	envelope->arrival_ms = report->now_ms;
	envelope->body = report->utf8 ? BODY_8BITMIME : BODY_7BIT;
	envelope->smtputf8 = report->utf8;
	envelope->is_report = true;
	envelope->protocol = memory_copy_string("LOCAL");
	envelope_add_recipient(envelope, report->original->sender);
}

bool
report_write(const struct settings *settings, enum report_kind kind, const struct envelope *original,
    const char *header, size_t header_length, int64_t now_ms, struct envelope *envelope_out, struct buffer *content)
{
	struct report report = { .settings = settings, .kind = kind, .original = original, .header = header,
		.header_length = header_length, .now_ms = now_ms, .utf8 = original->smtputf8 };

	envelope_init(envelope_out);
	if (original->is_report || original->sender == NULL || original->sender[0] == '\0')
		return false;
	report.recipients = memory_new(original->recipient_count + 1, sizeof(*report.recipients));
	for (size_t i = 0; i < original->recipient_count; i++)
		if (is_wanted(kind, &original->recipients[i]))
			report.recipients[report.count++] = &original->recipients[i];
	if (report.count > 0) {
		write_content(&report, content);
		write_envelope(&report, envelope_out);
	}
	free(report.recipients);
	buffer_free(&report.text);
	buffer_free(&report.status);
	buffer_free(&report.returned);
	return report.count > 0;
}
