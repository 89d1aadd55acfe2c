/* envelope - see envelope.h */
#include "common/mail/envelope.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/wire.h"

#define VERSION 1
#define DELAY_REPORTED 1	/* marks of a recipient */
#define WAITS_FOR_TURN 2
#define SMALLEST_RECIPIENT 62	/* no encoded recipient is shorter: bounds the array before it is allocated */

void
envelope_init(struct envelope *envelope)
{
	memset(envelope, 0, sizeof(*envelope));
}

static void
recipient_free(struct envelope_recipient *recipient)
{
	free(recipient->address);
	free(recipient->original);
	free(recipient->next_hop);
	free(recipient->delivery_address);
	free(recipient->status);
	free(recipient->reason);
	free(recipient->remote_host);
}

void
envelope_free(struct envelope *envelope)
{
	for (size_t i = 0; i < envelope->recipient_count; i++)
		recipient_free(&envelope->recipients[i]);
	free(envelope->recipients);
	free(envelope->sender);
	free(envelope->envid);
	free(envelope->client_address);
	free(envelope->client_name);
	free(envelope->helo);
	free(envelope->protocol);
	free(envelope->user);
	envelope_init(envelope);
}

static struct envelope_recipient *
append_recipient(struct envelope *envelope)
{
	if (envelope->recipient_count == envelope->recipient_capacity) {
		envelope->recipient_capacity = envelope->recipient_capacity ? envelope->recipient_capacity * 2 : 4;
		envelope->recipients = memory_resize(envelope->recipients, envelope->recipient_capacity,
		    sizeof(*envelope->recipients));
	}
	memset(&envelope->recipients[envelope->recipient_count], 0, sizeof(*envelope->recipients));
	return &envelope->recipients[envelope->recipient_count++];
}

struct envelope_recipient *
envelope_add_recipient(struct envelope *envelope, const char *address)
{
	size_t count = envelope->recipient_count;
	uint32_t number = count == 0 ? 0 : envelope->recipients[count - 1].number + 1;
	struct envelope_recipient *recipient = append_recipient(envelope);

	recipient->number = recipient->parent = number;
	recipient->address = memory_copy_string(address);
	return recipient;
}

struct envelope_recipient *
envelope_find_recipient(struct envelope *envelope, uint32_t number)
{
	size_t low = 0, high = envelope->recipient_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (envelope->recipients[middle].number == number)
			return &envelope->recipients[middle];
		if (envelope->recipients[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* A text that must arrive as it is: one that a decoder would refuse is refused here, before it is stored. */
static bool
put_exact(struct buffer *out, const char *text)
{
	if (text != NULL && (strnlen(text, ENVELOPE_TEXT_MAX + 1) > ENVELOPE_TEXT_MAX ||
	    strpbrk(text, "\r\n") != NULL))
		return false;
	return wire_put_string(out, text);
}

/* A text for people: cut and made one line. */
static bool
put_remark(struct buffer *out, const char *text)
{
	char line[ENVELOPE_TEXT_MAX + 1];
	size_t length = text == NULL ? 0 : strnlen(text, ENVELOPE_TEXT_MAX);

	for (size_t i = 0; i < length; i++)
		line[i] = text[i] == '\r' || text[i] == '\n' ? ' ' : text[i];
	line[length] = '\0';
	return wire_put_string(out, line);
}

static bool
encode_recipient(const struct envelope_recipient *recipient, struct buffer *out)
{
	return wire_put_u32(out, recipient->number) && put_exact(out, recipient->address) &&
	    put_exact(out, recipient->original) && wire_put_u8(out, recipient->notify) &&
	    wire_put_u16(out, recipient->forwards) && wire_put_u32(out, recipient->parent) &&
	    wire_put_u8(out, (uint8_t)recipient->state) && wire_put_u8(out, (uint8_t)recipient->transport) &&
	    put_exact(out, recipient->next_hop) && put_exact(out, recipient->delivery_address) &&
	    wire_put_u32(out, recipient->attempts) && wire_put_u64(out, (uint64_t)recipient->next_attempt_ms) &&
	    wire_put_u8(out, (uint8_t)recipient->failure) && put_remark(out, recipient->status) &&
	    put_remark(out, recipient->reason) && put_remark(out, recipient->remote_host) &&
	    wire_put_u8(out, (uint8_t)((recipient->delay_reported ? DELAY_REPORTED : 0) |
	    (recipient->waits_for_turn ? WAITS_FOR_TURN : 0)));
}

static bool
encode_facts(const struct envelope *envelope, struct buffer *out)
{
	return wire_put_u8(out, VERSION) && wire_put_u64(out, envelope->id) && put_exact(out, envelope->sender) &&
	    wire_put_u64(out, (uint64_t)envelope->arrival_ms) && wire_put_u8(out, (uint8_t)envelope->format) &&
	    wire_put_u8(out, (uint8_t)envelope->priority) && wire_put_u8(out, (uint8_t)envelope->body) &&
	    wire_put_u8(out, (uint8_t)envelope->ret) && wire_put_u8(out, envelope->smtputf8) &&
	    put_exact(out, envelope->envid) && wire_put_u16(out, envelope->hops) &&
	    wire_put_u8(out, envelope->is_report) && put_remark(out, envelope->client_address) &&
	    put_remark(out, envelope->client_name) && put_remark(out, envelope->helo) &&
	    put_remark(out, envelope->protocol) && put_remark(out, envelope->user);
}

bool
envelope_encode(const struct envelope *envelope, const bool *chosen, struct buffer *out)
{
	size_t before = out->length;
	uint32_t count = 0;

	for (size_t i = 0; i < envelope->recipient_count; i++)
		count += chosen == NULL || chosen[i];
	if (count > ENVELOPE_RECIPIENTS_MAX || !encode_facts(envelope, out) || !wire_put_u32(out, count))
		goto refused;
	for (size_t i = 0; i < envelope->recipient_count; i++)
		if ((chosen == NULL || chosen[i]) && !encode_recipient(&envelope->recipients[i], out))
			goto refused;
	return true;
refused:
	out->length = before;
	if (out->data != NULL)
		out->data[before] = '\0';
	return false;
}

static const char *
get_text(struct wire_reader *reader)
{
	const char *text = wire_get_string(reader, ENVELOPE_TEXT_MAX);

	if (strpbrk(text, "\r\n") != NULL)
		reader->failed = true;
	return text;
}

static char *
get_copy(struct wire_reader *reader)
{
	return memory_copy_string(get_text(reader));
}

/* The same, with "" as NULL. */
static char *
get_optional(struct wire_reader *reader)
{
	const char *text = get_text(reader);

	return reader->failed || text[0] == '\0' ? NULL : memory_copy_string(text);
}

static uint8_t
get_choice(struct wire_reader *reader, int last)
{
	uint8_t value = wire_get_u8(reader);

	if (value > last) {
		reader->failed = true;
		return 0;
	}
	return value;
}

static void
decode_recipient(struct wire_reader *reader, struct envelope *envelope)
{
	size_t count = envelope->recipient_count;
	struct envelope_recipient *recipient = append_recipient(envelope);
	uint8_t marks;

	recipient->number = wire_get_u32(reader);
	recipient->address = get_copy(reader);
	recipient->original = get_optional(reader);
	recipient->notify = get_choice(reader, NOTIFY_NEVER | NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY);
	recipient->forwards = wire_get_u16(reader);
	recipient->parent = wire_get_u32(reader);
	recipient->state = get_choice(reader, RECIPIENT_STATE_COUNT - 1);
	recipient->transport = get_choice(reader, TRANSPORT_LMTP);
	recipient->next_hop = get_optional(reader);
	recipient->delivery_address = get_optional(reader);
	recipient->attempts = wire_get_u32(reader);
	recipient->next_attempt_ms = (int64_t)wire_get_u64(reader);
	recipient->failure = get_choice(reader, FAILURE_CLASS_COUNT - 1);
	recipient->status = get_optional(reader);
	recipient->reason = get_optional(reader);
	recipient->remote_host = get_optional(reader);
	marks = get_choice(reader, DELAY_REPORTED | WAITS_FOR_TURN);
	recipient->delay_reported = (marks & DELAY_REPORTED) != 0;
	recipient->waits_for_turn = (marks & WAITS_FOR_TURN) != 0;
	if (count > 0 && recipient->number <= envelope->recipients[count - 1].number)
		reader->failed = true;
}

static void
decode_facts(struct wire_reader *reader, struct envelope *envelope)
{
	if (wire_get_u8(reader) != VERSION)
		reader->failed = true;
	envelope->id = wire_get_u64(reader);
	envelope->sender = get_copy(reader);
	envelope->arrival_ms = (int64_t)wire_get_u64(reader);
	envelope->format = get_choice(reader, FORMAT_NOTES);
	envelope->priority = get_choice(reader, PRIORITY_LOW);
	envelope->body = get_choice(reader, BODY_BINARYMIME);
	envelope->ret = get_choice(reader, RETURN_HEADERS);
	envelope->smtputf8 = get_choice(reader, 1);
	envelope->envid = get_optional(reader);
	envelope->hops = wire_get_u16(reader);
	envelope->is_report = get_choice(reader, 1);
	envelope->client_address = get_optional(reader);
	envelope->client_name = get_optional(reader);
	envelope->helo = get_optional(reader);
	envelope->protocol = get_optional(reader);
	envelope->user = get_optional(reader);
}

int
envelope_decode(const void *data, size_t length, struct envelope *envelope, struct error *error)
{
	struct wire_reader reader;
	uint32_t count;

	envelope_init(envelope);
	wire_reader_init(&reader, data, length);
	decode_facts(&reader, envelope);
	count = wire_get_u32(&reader);
	if (count > ENVELOPE_RECIPIENTS_MAX || count > (size_t)(reader.end - reader.next) / SMALLEST_RECIPIENT)
		reader.failed = true;
	for (uint32_t i = 0; i < count && !reader.failed; i++)
		decode_recipient(&reader, envelope);
	if (wire_reader_finished(&reader))
		return 0;
	envelope_free(envelope);
	return error_set(error, ERROR_DAMAGED, "malformed envelope of %zu octets", length);
}

const char *
transport_name(enum transport transport)
{
	static const char *const names[] = { "none", "local", "smtp", "lmtp" };

	return names[transport];
}

const char *
recipient_state_name(enum recipient_state state)
{
	static const char *const names[RECIPIENT_STATE_COUNT] = { "new", "waiting", "delivered", "failed",
	    "expanded" };

	return names[state];
}
