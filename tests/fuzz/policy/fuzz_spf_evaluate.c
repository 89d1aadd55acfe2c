/*
 * fuzz_spf_evaluate - the evaluator over answers of a hostile DNS: a request as policy packs it, or any octets, and a reply
 * that policy takes
 *
 * The first octet chooses: 0, the rest is a whole request; otherwise it is a run of answers to whatever is asked, each two octets of
 * length and its records, given to one evaluation round by round.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "policy/spf_evaluate.h"

#define ROUNDS_MAX 30

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next answer of the input: kind of outcome, count and records. False: it is at its end. */
static bool
next_answer(struct wire_reader *input, struct dns_answer *answer)
{
	size_t left = (size_t)(input->end - input->next), length = wire_get_u16(input);

	if (input->failed || left < 4)
		return false;
	*answer = (struct dns_answer){ .outcome = wire_get_u8(input) % 5, .count = wire_get_u8(input) };
	left -= 4;
	answer->records = (struct bytes){ input->next, length < left ? length : left };
	input->next += answer->records.length;
	return true;
}

static void
run_rounds(struct wire_reader *input)
{
	struct spf_request request = { .client_address = "192.0.2.1", .helo = "h.test", .sender = "a-b@c.test" };
	struct buffer packed = BUFFER_INITIALIZER(0);
	struct dns_answer answer;
	struct spf_reply reply;
	unsigned round, i;
	bool goes_on = true;

	for (round = 0; round < ROUNDS_MAX && goes_on; round++) {
		buffer_clear(&packed);
		spf_evaluate(&request, &reply);
		spf_reply_put(&packed, &reply);
		assert(spf_reply_get(packed.data, packed.length, &reply));
		goes_on = reply.wanted_count > 0;
		for (i = 0; i < reply.wanted_count && goes_on; i++) {
			assert(spf_answers_find(&request.answers, reply.wanted[i].kind, reply.wanted[i].name) == NULL);
			goes_on = next_answer(input, &answer) &&
			    spf_answers_add(&request.answers, reply.wanted[i].kind, reply.wanted[i].name, &answer);
		}
	}
	buffer_free(&packed);
	spf_answers_free(&request.answers);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer reply = BUFFER_INITIALIZER(0);
	struct wire_reader input;

	if (size == 0)
		return 0;
	if (data[0] == 0) {
		spf_evaluate_packed(data + 1, size - 1, &reply);
	} else {
		wire_reader_init(&input, data + 1, size - 1);
		run_rounds(&input);
	}
	buffer_free(&reply);
	return 0;
}
