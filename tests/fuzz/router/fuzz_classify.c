/*
 * fuzz_classify - any octets as a recipient: it is classified and decided, and what is decided has no control in
 * it
 */
#include <stdint.h>

#include "router/decide.h"
#include "tests/unit/router/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 127)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world world;
	static struct rules *rules;
	static const struct trace silent;
	char recipient[ENVELOPE_TEXT_MAX + 1];
	struct classification class;
	struct decision decision = { .outcome = ROUTE_DEFER };
	struct question question = { .trace = &silent, .recipient = recipient };

	if (rules == NULL) {
		world_begin(&world);
		rules = rules_new(&world.settings);
	}
	question.rules = rules;
	snprintf(recipient, sizeof(recipient), "%.*s", (int)(size < ENVELOPE_TEXT_MAX ? size : ENVELOPE_TEXT_MAX),
	    (const char *)data);
	classify(rules, recipient, &silent, &class);
	if (class.class == CLASS_EXTERNAL)
		decide_external(&question, &class, &decision);
	else if (class.class == CLASS_MALFORMED)
		decide_malformed(&question, &decision);
	else if (class.class != CLASS_NAME && class.class != CLASS_LOCAL_INTERNET)
		decide_domino_domain(&question, &class, &decision);
	if (decision.outcome == ROUTE_DELIVER) {
		check(decision.next_hop);
		if (class.class == CLASS_EXTERNAL)
			check(decision.address);
	}
	return 0;
}
