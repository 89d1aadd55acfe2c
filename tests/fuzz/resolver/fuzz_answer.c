/* fuzz_answer - packets of hostile name servers: bounded records, sane names, no read outside */
#include <assert.h>
#include <string.h>

#include "resolver/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[ANSWER_TYPE_COUNT] = { "host.example.", "host.example.", "9.2.0.192.in-addr.arpa." };
	struct wire_reader reader;
	struct answer answer;
	enum answer_type type;
	size_t i;

	if (size < 1)
		return 0;
	type = (enum answer_type)(data[0] % ANSWER_TYPE_COUNT);
	answer_init(&answer);
	answer_read(&answer, type, names[type], data + 1, size - 1);
	assert(answer.count <= ANSWER_RECORDS_MAX);
	assert(answer.outcome != DNS_FOUND || answer.count > 0);
	wire_reader_init(&reader, buffer_text(&answer.records), answer.records.length);
	for (i = 0; i < answer.count; i++) {
		if (type == ANSWER_PTR)
			assert(strpbrk(wire_get_string(&reader, 255), " \r\n\\") == NULL);
		else
			assert(wire_get_bytes(&reader, 16).length == (type == ANSWER_A ? 4 : 16));
	}
	assert(wire_reader_finished(&reader));
	answer_free(&answer);
	return 0;
}
