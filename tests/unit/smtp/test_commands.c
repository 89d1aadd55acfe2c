/* Unit tests of smtp/commands.c: addresses and parameters beyond ASCII; rows 25, 47 and 51 of docs/reference/hostile-inputs.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/commands.h"

static void
turns_international_domains_into_a_labels(void **state)
{
	static const struct { const char *address, *ascii; } rows[] = {
		{ "jo@b\xc3\xbc" "cher.example", "jo@xn--bcher-kva.example" },
		{ "\"jo @ home\"@B\xc3\x9c" "CHER.example", "\"jo @ home\"@xn--bcher-kva.example" },
		{ "j\xc3\xb6@b\xc3\xbc" "cher.example", NULL },
		{ "jo@\xff.example", NULL },
		{ "jo@\xe2\x80\x8b.example", NULL },
		{ "\xc3\xa9", NULL },
		{ "", NULL },
	};
	char ascii[ADDRESS_TEXT_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(address_to_ascii(rows[i].address, ascii), rows[i].ascii != NULL);
		if (rows[i].ascii != NULL)
			assert_string_equal(ascii, rows[i].ascii);
	}
}

static void
writes_original_recipients_so_that_they_stay_one_parameter(void **state)
{
	static const struct { bool smtputf8; const char *original, *parameter; } rows[] = {
		{ false, "rfc822;a+b=c d@x", " ORCPT=rfc822;a+2Bb+3Dc+20d@x" },
		{ false, "rfc822;a\r\nRSET@x", " ORCPT=rfc822;a+0D+0ARSET@x" },
		{ false, "rfc822;\xc3\xa9@x", "" },
		{ true, "utf-8;\xc3\xa9 +=@x", " ORCPT=utf-8;\xc3\xa9\\x{20}\\x{2B}\\x{3D}@x" },
		{ false, "UTF-8;\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80@x", " ORCPT=utf-8;\\x{E9}\\x{20AC}\\x{1F600}@x" },
		{ true, "utf-8;a\r\nRSET\x7f@x", " ORCPT=utf-8;a\\x{D}\\x{A}RSET\\x{7F}@x" },
		{ true, "utf-8;\xf0\x9f", " ORCPT=utf-8;\\x{1F}" },
		{ true, "no type", "" },
		{ true, "rfc 822;x", "" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mail_parameters parameters = { .dsn = true, .smtputf8 = rows[i].smtputf8 };
		struct envelope_recipient recipient = { .address = (char[]){ "x@y" } };
		struct buffer out = BUFFER_INITIALIZER(0);

		recipient.original = strdup(rows[i].original);
		command_append_rcpt(&out, &recipient, &parameters);
		assert_memory_equal(out.data, "RCPT TO:<x@y>", 13);
		assert_int_equal(out.length, 13 + strlen(rows[i].parameter) + 2);
		assert_memory_equal(out.data + 13, rows[i].parameter, strlen(rows[i].parameter));
		free(recipient.original);
		buffer_free(&out);
	}
}

static void
leaves_out_original_recipients_that_are_too_long(void **state)
{
	struct mail_parameters parameters = { .dsn = true };
	struct envelope_recipient recipient = { .address = (char[]){ "x@y" } };
	struct buffer out = BUFFER_INITIALIZER(0);
	char original[520] = "utf-8;";

	(void)state;
	memset(original + 6, 'x', sizeof(original) - 7);
	recipient.original = original;
	command_append_rcpt(&out, &recipient, &parameters);
	assert_string_equal(out.data, "RCPT TO:<x@y>\r\n");
	buffer_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(turns_international_domains_into_a_labels),
		cmocka_unit_test(writes_original_recipients_so_that_they_stay_one_parameter),
		cmocka_unit_test(leaves_out_original_recipients_that_are_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
