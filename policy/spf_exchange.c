/* spf_exchange - see spf_exchange.h */
#include "policy/spf_exchange.h"

#include <stdio.h>
#include <string.h>

void
spf_request_put(struct buffer *out, const struct spf_request *request)
{
	wire_put_string(out, request->client_address);
	wire_put_string(out, request->helo);
	wire_put_string(out, request->sender);
	wire_put_string(out, request->receiver);
	wire_put_u64(out, request->now);
	spf_answers_put(out, &request->answers);
}

static void
get_string(struct wire_reader *in, char *text, size_t size)
{
	snprintf(text, size, "%s", wire_get_string(in, size - 1));
}

bool
spf_request_get(const void *data, size_t length, struct spf_request *request)
{
	struct wire_reader in;

	memset(request, 0, sizeof(*request));
	wire_reader_init(&in, data, length);
	get_string(&in, request->client_address, sizeof(request->client_address));
	get_string(&in, request->helo, sizeof(request->helo));
	get_string(&in, request->sender, sizeof(request->sender));
	get_string(&in, request->receiver, sizeof(request->receiver));
	request->now = wire_get_u64(&in);
	return spf_answers_get(&in, &request->answers) && wire_reader_finished(&in);
}

void
spf_reply_put(struct buffer *out, const struct spf_reply *reply)
{
	unsigned i;

	wire_put_u8(out, (uint8_t)reply->wanted_count);
	for (i = 0; i < reply->wanted_count; i++) {
		wire_put_u8(out, (uint8_t)reply->wanted[i].kind);
		wire_put_string(out, reply->wanted[i].name);
	}
	wire_put_u8(out, (uint8_t)reply->verdict);
	wire_put_string(out, reply->text);
}

static bool
get_wanted(struct wire_reader *in, struct spf_wanted *wanted)
{
	uint8_t kind = wire_get_u8(in);

	get_string(in, wanted->name, sizeof(wanted->name));
	wanted->kind = (enum dns_kind)kind;
	return !in->failed && wanted->name[0] != '\0' && kind < DNS_KIND_COUNT && kind != DNS_HOST && kind != DNS_CNAME;
}

static bool
is_printable(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

bool
spf_reply_get(const void *data, size_t length, struct spf_reply *reply)
{
	struct wire_reader in;
	uint8_t verdict;
	unsigned i;

	memset(reply, 0, sizeof(*reply));
	wire_reader_init(&in, data, length);
	reply->wanted_count = wire_get_u8(&in);
	if (reply->wanted_count > SPF_QUESTIONS_MAX)
		return false;
	for (i = 0; i < reply->wanted_count; i++)
		if (!get_wanted(&in, &reply->wanted[i]))
			return false;
	verdict = wire_get_u8(&in);
	get_string(&in, reply->text, sizeof(reply->text));
	if (verdict >= SPF_VERDICT_COUNT || !wire_reader_finished(&in) || !is_printable(reply->text))
		return false;
	reply->verdict = (enum spf_verdict)verdict;
	return true;
}
