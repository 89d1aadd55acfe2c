/* test_message_view - a message of MAIL.BOX on the administrator's terminal */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/base/attributes.h"
#include "master/matador/message_view.h"

/* In every text of others: a terminal's commands, the C1 form of one, and octets that are no UTF-8. */
#define HOSTILE "x\x1b[2J\x7f\xc2\x9b" "1m\x9b\xff\xc3\xa9\xc3"
#define HOSTILE_SHOWN "x?[2J???1m??\xc3\xa9?"

static char hostile[] = HOSTILE;

static struct envelope_recipient recipients[] = { { .address = hostile, .state = RECIPIENT_WAITING, .attempts = 1,
	.transport = TRANSPORT_SMTP, .next_hop = hostile, .reason = hostile } };

static struct envelope envelope = { .id = 1, .sender = hostile, .envid = hostile, .client_address = hostile,
	.client_name = hostile, .helo = hostile, .protocol = hostile, .user = hostile, .recipients = recipients,
	.recipient_count = ARRAY_COUNT(recipients) };

static const struct store_item item = { .envelope = &envelope, .size = 100 };

static unsigned
occurrences(const char *text, const char *word)
{
	unsigned count = 0;

	while ((text = strstr(text, word)) != NULL) {
		text += strlen(word);
		count++;
	}
	return count;
}

static void
expect_clean(void (*view)(struct buffer *out, const struct store_item *item), unsigned texts)
{
	struct buffer out = BUFFER_INITIALIZER(0);

	view(&out, &item);
	assert_null(strpbrk(buffer_text(&out), "\x1b\x7f\x9b\xff"));
	assert_int_equal(occurrences(buffer_text(&out), HOSTILE_SHOWN), texts);
	buffer_free(&out);
}

static void
texts_of_mail_cannot_command_the_terminal(void **state UNUSED)
{
	expect_clean(message_view_list, 4);
	expect_clean(message_view_whole, 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_of_mail_cannot_command_the_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
