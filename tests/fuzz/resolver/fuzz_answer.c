/* fuzz_answer - packets of hostile name servers: bounded records, sane names, no read outside, a list of hosts as it must be */
#include <assert.h>
#include <string.h>

#include "resolver/answer.h"
#include "resolver/mx_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every record as its kind says, and nothing behind the last. */
static void
check_records(enum dns_kind kind, const struct dns_answer *answer)
{
	struct wire_reader reader;
	size_t i;

	wire_reader_init(&reader, answer->records.data, answer->records.length);
	for (i = 0; i < answer->count; i++) {
		if (kind == DNS_MX)
			wire_get_u16(&reader);
		if (kind == DNS_TLSA) {
			wire_get_u8(&reader);
			wire_get_u16(&reader);
		}
		if (kind == DNS_PTR)
			assert(strpbrk(wire_get_string(&reader, ANSWER_NAME_MAX), " \r\n\\") == NULL);
		else if (kind == DNS_MX || kind == DNS_CNAME)
			assert(strpbrk(wire_get_string(&reader, ANSWER_NAME_MAX), " \r\n") == NULL);
		else if (kind == DNS_A || kind == DNS_AAAA)
			assert(wire_get_bytes(&reader, 16).length == (kind == DNS_A ? 4 : 16));
		else
			wire_get_bytes(&reader, UINT16_MAX);
	}
	assert(wire_reader_finished(&reader));
}

static void
check_list(const struct dns_answer *answer)
{
	struct mx_list list;
	size_t i;

	mx_list_read(&list, answer, "host.example");
	assert(list.count > 0 && list.count <= MX_HOSTS_MAX);
	for (i = 0; i < list.count; i++) {
		const struct mx_host *host = &list.hosts[i];

		assert(i == 0 || host[-1].preference <= host->preference);
		assert(host->state != MAIL_HOST_USABLE || mx_name_is_host(host->name));
	}
	mx_list_free(&list);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct { enum dns_kind kind; const char *name; } questions[] = { { DNS_A, "host.example." },
		{ DNS_AAAA, "host.example." }, { DNS_PTR, "9.2.0.192.in-addr.arpa." }, { DNS_MX, "host.example." },
		{ DNS_TXT, "host.example." }, { DNS_TLSA, "host.example." }, { DNS_CNAME, "host.example." } };
	struct dns_answer sent;
	struct answer answer;
	enum dns_kind kind;

	if (size < 2)
		return 0;
	kind = questions[data[0] % ARRAY_COUNT(questions)].kind;
	answer_init(&answer);
	answer_read(&answer, kind, questions[data[0] % ARRAY_COUNT(questions)].name, data + 2, size - 2);
	assert(answer.count <= (kind == DNS_MX ? ANSWER_MX_RECORDS_MAX : ANSWER_RECORDS_MAX));
	assert((answer.outcome == DNS_FOUND) == (answer.count > 0));
	sent = (struct dns_answer){ .count = (uint16_t)answer.count,
		.records = { buffer_text(&answer.records), answer.records.length } };
	if (kind != DNS_PTR)
		answer_limit(&sent, kind, data[1] * 16u);
	check_records(kind, &sent);
	if (kind == DNS_MX && sent.count > 0)
		check_list(&sent);
	answer_free(&answer);
	return 0;
}
