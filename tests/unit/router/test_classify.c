/* test_classify - what kind of address a recipient is (docs/reference/domino-semantics.md, 3.1) */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "router/classify.h"
#include "tests/unit/router/world.h"

static const struct trace silent = { NULL, NULL };

static const struct {
	const char *name;
	const char *recipient;
	enum address_class class;
	const char *what;	/* the name, the Domino domain or the Internet address */
} rows[] = {
	{ "a name without @ is looked up", "Jane Doe/Sales/Acme", CLASS_NAME, "Jane Doe/Sales/Acme" },
	{ "our own Domino domain is taken off", "Jane Doe@Acme", CLASS_NAME, "Jane Doe" },
	{ "without regard to case", "Jane Doe@ACME", CLASS_NAME, "Jane Doe" },
	{ "as often as it stands there", "Jane Doe@Acme@acme", CLASS_NAME, "Jane Doe" },
	{ "behind ours another domain decides", "Robin@East@Acme", CLASS_ADJACENT, "East" },
	{ "the last @ splits a chain", "Robin Rutherford@C@East", CLASS_ADJACENT, "East" },
	{ "a Foreign Domain document", "123@fax", CLASS_FOREIGN, "fax" },
	{ "a Connection document leads to an adjacent domain", "Robin@East", CLASS_ADJACENT, "East" },
	{ "a Non-adjacent Domain document", "Robin@West", CLASS_NON_ADJACENT, "West" },
	{ "a domain that nothing names", "Robin@North", CLASS_UNKNOWN_DOMAIN, "North" },
	{ "the primary Internet domain", "jane@acme.com", CLASS_LOCAL_INTERNET, "jane@acme.com" },
	{ "an alias", "jane@ACME.fr", CLASS_LOCAL_INTERNET, "jane@acme.fr" },
	{ "a domain below an alias with *", "jane@a.b.acme.net", CLASS_LOCAL_INTERNET, "jane@a.b.acme.net" },
	{ "a name at a local Internet domain", "Jane Doe/Sales@acme.com", CLASS_LOCAL_INTERNET,
	    "\"Jane Doe/Sales\"@acme.com" },
	{ "a sub-domain is not implied", "jane@sales.acme.com", CLASS_EXTERNAL, "jane@sales.acme.com" },
	{ "our own host name is not local with documents", "jane@hub.acme.com", CLASS_EXTERNAL,
	    "jane@hub.acme.com" },
	{ "any other Internet domain", "bob@partner.example", CLASS_EXTERNAL, "bob@partner.example" },
	{ "an address literal", "bob@[192.0.2.1]", CLASS_EXTERNAL, "bob@[192.0.2.1]" },
	{ "a quoted @ does not count", "\"bob@acme.com\"@partner.example", CLASS_EXTERNAL,
	    "\"bob@acme.com\"@partner.example" },
	{ "user%OurDomain in a local Internet domain", "jdoe%Acme@acme.com", CLASS_NAME, "jdoe" },
	{ "user%OtherDomain in a local Internet domain", "robin%East@acme.com", CLASS_ADJACENT, "East" },
	{ "user%internet.domain stays a local part", "x%theirs.example@acme.com", CLASS_LOCAL_INTERNET,
	    "x%theirs.example@acme.com" },
	{ "user%Domain elsewhere is the others' business", "robin%East@partner.example", CLASS_EXTERNAL,
	    "robin%East@partner.example" },
	{ "nothing", "", CLASS_MALFORMED, "" },
	{ "a name that ends in @", "jane@", CLASS_MALFORMED, "" },
	{ "a domain that cannot be", "jane@a..b", CLASS_MALFORMED, "" },
	{ "a control inside", "ja\nne@acme.com", CLASS_MALFORMED, "" },
	{ "a literal that is none", "bob@[192.0.2.999]", CLASS_MALFORMED, "" },
};

static const char *
what_of(const struct classification *class)
{
	switch (class->class) {
	case CLASS_NAME:
		return class->name;
	case CLASS_LOCAL_INTERNET:
	case CLASS_EXTERNAL:
		return class->address.text;
	case CLASS_MALFORMED:
		return "";
	default:
		return class->domain;
	}
}

static void
addresses_are_what_the_table_says(void **state)
{
	struct rules *rules = rules_new(&((struct world *)*state)->settings);

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct classification class;

		classify(rules, rows[i].recipient, &silent, &class);
		if (class.class != rows[i].class || strcmp(what_of(&class), rows[i].what) != 0)
			fail_msg("%s: %s is %d %s", rows[i].name, rows[i].recipient, (int)class.class,
			    what_of(&class));
	}
	rules_release(&rules);
}

static void
the_document_that_decided_is_named(void **state)
{
	struct rules *rules = rules_new(&((struct world *)*state)->settings);
	struct classification class;

	classify(rules, "jane@acme.fr", &silent, &class);
	assert_string_equal(class.rule, "global_domain \"Acme mail\"");
	assert_int_equal(class.at.line, 3);
	assert_string_equal(class.primary, "acme.com");
	classify(rules, "123@Fax", &silent, &class);
	assert_string_equal(class.rule, "foreign_domain \"Fax\"");
	assert_int_equal(class.at.line, 5);
	rules_release(&rules);
}

static void
append_step(void *context, const struct position *at, const char *text)
{
	const char *slash = strrchr(at->file, '/');

	buffer_printf(context, "%s:%u %s\n", slash == NULL ? at->file : slash + 1, (unsigned)at->line, text);
}

static void
every_rule_that_was_looked_at_is_told(void **state)
{
	struct rules *rules = rules_new(&((struct world *)*state)->settings);
	struct buffer steps = BUFFER_INITIALIZER(0);
	struct trace trace = { append_step, &steps };
	struct classification class;

	classify(rules, "jdoe%Acme@acme.fr", &trace, &class);
	assert_string_equal(buffer_text(&steps),
	    "domains.conf:3 acme.fr is a local Internet domain by global_domain \"Acme mail\", an alias of acme.com\n"
	    ":0 jdoe%Acme@acme.fr means jdoe in the Domino domain Acme\n");
	buffer_free(&steps);
	rules_release(&rules);
}

static void
a_recipient_of_any_length_is_judged(void **state)
{
	struct rules *rules = rules_new(&((struct world *)*state)->settings);
	char recipient[5000];
	struct classification class;

	for (size_t length = 1; length < sizeof(recipient); length = length * 2 + 1) {
		memset(recipient, '@', length);
		recipient[length] = '\0';
		classify(rules, recipient, &silent, &class);
		memset(recipient, 'x', length);
		classify(rules, recipient, &silent, &class);
	}
	rules_release(&rules);
}

static int
begin(void **state)
{
	static struct world world;

	world_begin(&world);
	*state = &world;
	return 0;
}

static int
end(void **state)
{
	world_end(*state);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_what_the_table_says),
		cmocka_unit_test(the_document_that_decided_is_named),
		cmocka_unit_test(every_rule_that_was_looked_at_is_told),
		cmocka_unit_test(a_recipient_of_any_length_is_judged),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
