/* test_reply - every reply is one lawful line, whatever a client put into it (hostile-inputs check R, row 53) */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/base/utf8.h"
#include "smtpd/reply.h"

static void
every_reply_is_one_printable_line(void **state)
{
	char argument[2000];

	(void)state;
	for (size_t fill = 0; fill < sizeof(argument); fill += 37)
		for (enum reply reply = REPLY_NONE + 1; reply < REPLY_COUNT; reply++) {
			struct buffer line = BUFFER_INITIALIZER(0);

			memset(argument, 'x', sizeof(argument));
			memcpy(argument, "a\r\n250 b\x1b\x7f%n%s\t", 15);
			for (size_t i = 20; i + 3 < fill; i += 3)
				memcpy(argument + i, "\xe2\x82\xac", 3);
			argument[fill] = '\0';
			reply_append(&line, reply, argument, true, false);
			assert_true(line.length <= REPLY_LINE_MAX);
			assert_ptr_equal(strstr(line.data, "\r\n"), line.data + line.length - 2);
			for (size_t i = 0; i + 2 < line.length; i++)
				assert_true((unsigned char)line.data[i] >= ' ' && line.data[i] != 0x7f);
			assert_true(line.data[0] >= '2' && line.data[0] <= '5' && line.data[3] == ' ');
			buffer_free(&line);
		}
}

static void
dominos_words_stay(void **state)
{
	struct buffer line = BUFFER_INITIALIZER(0);

	(void)state;
	reply_append(&line, REPLY_RELAY_REJECTED, NULL, true, false);
	assert_string_equal(line.data, "554 5.7.1 Relay rejected for policy reasons.\r\n");
	buffer_clear(&line);
	reply_append(&line, REPLY_SENDER_OK, "jane@acme.com", true, false);
	assert_string_equal(line.data, "250 2.1.0 jane@acme.com... Sender OK\r\n");
	buffer_clear(&line);
	reply_append(&line, REPLY_HELLO, "SIZE", false, true);
	assert_string_equal(line.data, "250-SIZE\r\n");
	buffer_free(&line);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_reply_is_one_printable_line),
		cmocka_unit_test(dominos_words_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
