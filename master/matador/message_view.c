/* message_view - see message_view.h */
#include "master/matador/message_view.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/identifier.h"
#include "master/matador/json_text.h"
#include "master/matador/terminal_text.h"

#define DESTINATION_SIZE (ENVELOPE_TEXT_MAX + 32)

static const char *
format_name(enum message_format format)
{
	return format == FORMAT_NOTES ? "notes" : "mime";
}

static const char *
priority_name(enum message_priority priority)
{
	switch (priority) {
	case PRIORITY_HIGH:
		return "high";
	case PRIORITY_LOW:
		return "low";
	case PRIORITY_NORMAL:
		break;
	}
	return "normal";
}

/* "deferred" for a waiting recipient whose last attempt failed, else the name of its state. */
static const char *
state_name(const struct envelope_recipient *recipient)
{
	if (recipient->state == RECIPIENT_WAITING && recipient->attempts > 0)
		return "deferred";
	return recipient_state_name(recipient->state);
}

/* "transport:next_hop", or "" before routing. */
static const char *
destination_text(const struct envelope_recipient *recipient, char text[static DESTINATION_SIZE])
{
	if (recipient->transport == TRANSPORT_NONE)
		text[0] = '\0';
	else
		snprintf(text, DESTINATION_SIZE, "%s:%s", transport_name(recipient->transport),
		    recipient->next_hop == NULL ? "" : recipient->next_hop);
	return text;
}

static bool
is_done(const struct envelope_recipient *recipient)
{
	return recipient->state == RECIPIENT_DELIVERED || recipient->state == RECIPIENT_FAILED ||
	    recipient->state == RECIPIENT_EXPANDED;
}

static void
append_recipient(struct buffer *out, const struct envelope_recipient *recipient)
{
	char destination[DESTINATION_SIZE], when[32];

	buffer_append_string(out, "    ");
	terminal_append(out, recipient->address);
	buffer_printf(out, "  %s", state_name(recipient));
	if (recipient->transport != TRANSPORT_NONE) {
		buffer_append_string(out, "  ");
		terminal_append(out, destination_text(recipient, destination));
	}
	if (recipient->state == RECIPIENT_WAITING && recipient->next_attempt_ms > clock_wall_ms()) {
		clock_format_rfc3339(recipient->next_attempt_ms, when);
		buffer_printf(out, "  next attempt %s", when);
	}
	if (recipient->reason != NULL && recipient->reason[0] != '\0') {
		buffer_append_string(out, "  (");
		terminal_append(out, recipient->reason);
		buffer_append_byte(out, ')');
	}
	buffer_append_byte(out, '\n');
}

void
message_view_heading(struct buffer *out)
{
	buffer_printf(out, "%-13s %10s  %-20s  %s\n", "id", "octets", "arrival", "sender");
}

void
message_view_list(struct buffer *out, const struct store_item *item)
{
	const struct envelope *envelope = item->envelope;
	char id[IDENTIFIER_TEXT_SIZE], arrival[32];

	identifier_format(envelope->id, id);
	clock_format_rfc3339(envelope->arrival_ms, arrival);
	buffer_printf(out, "%-13s %10llu  %-20s  ", id, (unsigned long long)item->size, arrival);
	terminal_append(out, envelope->sender[0] == '\0' ? "<>" : envelope->sender);
	buffer_append_string(out, item->held ? "  held\n" : "\n");
	for (size_t i = 0; i < envelope->recipient_count; i++)
		if (!is_done(&envelope->recipients[i]))
			append_recipient(out, &envelope->recipients[i]);
}

static void
append_fact(struct buffer *out, const char *name, const char *value)
{
	if (value == NULL || value[0] == '\0')
		return;
	buffer_printf(out, "%-12s ", name);
	terminal_append(out, value);
	buffer_append_byte(out, '\n');
}

void
message_view_whole(struct buffer *out, const struct store_item *item)
{
	const struct envelope *envelope = item->envelope;
	char id[IDENTIFIER_TEXT_SIZE], arrival[32];

	identifier_format(envelope->id, id);
	clock_format_rfc3339(envelope->arrival_ms, arrival);
	append_fact(out, "id", id);
	append_fact(out, "sender", envelope->sender[0] == '\0' ? "<>" : envelope->sender);
	append_fact(out, "arrival", arrival);
	buffer_printf(out, "%-12s %llu octets\n", "size", (unsigned long long)item->size);
	append_fact(out, "format", format_name(envelope->format));
	append_fact(out, "priority", priority_name(envelope->priority));
	append_fact(out, "held", item->held ? "yes" : "no");
	append_fact(out, "client", envelope->client_address);
	append_fact(out, "client name", envelope->client_name);
	append_fact(out, "helo", envelope->helo);
	append_fact(out, "protocol", envelope->protocol);
	append_fact(out, "user", envelope->user);
	append_fact(out, "envid", envelope->envid);
	buffer_append_string(out, "recipients\n");
	for (size_t i = 0; i < envelope->recipient_count; i++)
		append_recipient(out, &envelope->recipients[i]);
}

/* ---- JSON ---- */

static void
add_time(cJSON *object, const char *name, int64_t wall_ms)
{
	char text[32];

	if (wall_ms <= 0) {
		cJSON_AddNullToObject(object, name);
		return;
	}
	clock_format_rfc3339(wall_ms, text);
	cJSON_AddStringToObject(object, name, text);
}

static cJSON *
recipient_object(const struct envelope_recipient *recipient)
{
	cJSON *object = cJSON_CreateObject();
	char destination[DESTINATION_SIZE];

	json_add_text(object, "address", recipient->address);
	cJSON_AddStringToObject(object, "state", state_name(recipient));
	json_add_text(object, "destination", destination_text(recipient, destination));
	json_add_text(object, "reason", recipient->reason);
	json_add_text(object, "status", recipient->status);
	cJSON_AddNumberToObject(object, "attempts", recipient->attempts);
	add_time(object, "next_attempt", is_done(recipient) ? 0 : recipient->next_attempt_ms);
	return object;
}

void
message_view_json(struct buffer *out, const struct store_item *item)
{
	const struct envelope *envelope = item->envelope;
	cJSON *object = cJSON_CreateObject();
	char id[IDENTIFIER_TEXT_SIZE];
	cJSON *recipients;
	char *text;

	identifier_format(envelope->id, id);
	cJSON_AddStringToObject(object, "id", id);
	json_add_text(object, "sender", envelope->sender);
	recipients = cJSON_AddArrayToObject(object, "recipients");
	for (size_t i = 0; i < envelope->recipient_count; i++)
		cJSON_AddItemToArray(recipients, recipient_object(&envelope->recipients[i]));
	cJSON_AddNumberToObject(object, "size", (double)item->size);
	add_time(object, "arrival", envelope->arrival_ms);
	cJSON_AddStringToObject(object, "priority", priority_name(envelope->priority));
	cJSON_AddStringToObject(object, "format", format_name(envelope->format));
	cJSON_AddBoolToObject(object, "held", item->held);
	json_add_text(object, "client", envelope->client_address);
	json_add_text(object, "client_name", envelope->client_name);
	json_add_text(object, "helo", envelope->helo);
	json_add_text(object, "protocol", envelope->protocol);
	json_add_text(object, "user", envelope->user);
	json_add_text(object, "envid", envelope->envid);
	text = cJSON_PrintUnformatted(object);
	buffer_append_string(out, text);
	buffer_append_byte(out, '\n');
	free(text);
	cJSON_Delete(object);
}

/* ---- export ---- */

void
message_view_envelope_fields(struct buffer *out, const struct store_item *item)
{
	const struct envelope *envelope = item->envelope;
	char id[IDENTIFIER_TEXT_SIZE];

	identifier_format(envelope->id, id);
	buffer_printf(out, "Return-Path: <%s>\r\n", envelope->sender);
	for (size_t i = 0; i < envelope->recipient_count; i++)
		if (!is_done(&envelope->recipients[i]))
			buffer_printf(out, "X-Envelope-To: <%s>\r\n", envelope->recipients[i].address);
	buffer_printf(out, "X-Message-Id: %s\r\n", id);
}
