/* fuzz_spf_record - SPF records of strangers: what is taken lies within the text, is well-formed, and expands within bounds */
#include <assert.h>
#include <string.h>
#include <sys/socket.h>

#include "policy/spf_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_text(struct spf_text text, const uint8_t *data, size_t size)
{
	static const struct spf_macro_values values = { .sender = "a-b@c.test", .local_part = "a-b", .sender_domain = "c.test",
		.helo = "h.test", .domain = "c.test", .validated = "unknown", .receiver = "r.test", .family = AF_INET6 };
	char name[SPF_NAME_SIZE], escaped[SPF_NAME_SIZE];
	struct buffer out = BUFFER_INITIALIZER(0);

	if (text.length == 0)
		return;
	assert((const uint8_t *)text.data >= data && (const uint8_t *)text.data + text.length <= data + size);
	assert(spf_macro_expand(text, &values, &out) || out.length > SPF_EXPANSION_MAX);
	if (spf_name_make((struct spf_text){ buffer_text(&out), out.length }, name)) {
		spf_name_escape(name, escaped);
		assert(strlen(name) <= 253 && strlen(escaped) < SPF_NAME_SIZE);
	}
	buffer_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spf_text text = { (const char *)data, size };
	char problem[SPF_PROBLEM_SIZE];
	struct spf_record record;
	size_t i;

	if (!spf_record_is_one(text))
		return 0;
	if (!spf_record_parse(&record, text, problem)) {
		for (i = 0; problem[i] != '\0'; i++)
			assert(problem[i] >= ' ' && problem[i] <= '~');
		assert(i < SPF_PROBLEM_SIZE);
		return 0;
	}
	for (i = 0; i < record.count; i++) {
		assert(record.terms[i].prefix4 <= 32 && record.terms[i].prefix6 <= 128);
		check_text(record.terms[i].domain, data, size);
	}
	check_text(record.redirect, data, size);
	check_text(record.explanation, data, size);
	spf_record_free(&record);
	return 0;
}
