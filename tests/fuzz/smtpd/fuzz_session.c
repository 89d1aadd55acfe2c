/*
 * fuzz_session - whatever a client sends, every reply is lawful and nothing is left over
 *
 * The first octet says how the rest is cut into segments and what the queue answers.
 */
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/smtpd/fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every line: three digits, blank or hyphen, printable text, CRLF, at most 512 octets. */
static void
check_replies(const char *replies)
{
	while (*replies != '\0') {
		const char *end = strstr(replies, "\r\n");

		if (end == NULL || end - replies > 510 || end - replies < 4 || replies[0] < '2' || replies[0] > '5' ||
		    (replies[3] != ' ' && replies[3] != '-'))
			abort();
		for (const char *octet = replies; octet < end; octet++)
			if ((unsigned char)*octet < ' ' || *octet == 0x7f)
				abort();
		replies = end + 2;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fixture fixture;
	size_t piece, at = 1;
	char *replies;

	if (size < 1)
		return 0;
	fixture_start(&fixture);
	fixture_set(&fixture, "smtp_error_limit", "0");
	fixture_set(&fixture, "smtp_in_vrfy", "enabled");
	fixture_set(&fixture, "inline_body_limit", "4096");
	fixture_set(&fixture, "maximum_message_size_kb", "16");
	fixture_set(&fixture, "maximum_recipients_per_message", "5");
	fixture.outcome = (enum deposit_outcome)(data[0] >> 6 > DEPOSIT_PERMANENT ? DEPOSIT_STORED : data[0] >> 6);
	fixture.client.is_local_user = (data[0] & 32) != 0;
	piece = data[0] & 31 ? data[0] & 31 : size;
	fixture_open(&fixture);
	while (at < size && fixture.session->wait != SESSION_WAITS_FOR_CLOSE) {
		size_t length = size - at < piece ? size - at : piece;

		fixture_send(&fixture, (const char *)data + at, length);
		at += length;
	}
	replies = fixture_replies(&fixture);
	check_replies(replies);
	free(replies);
	session_free(&fixture.session);
	if (fixture.shared.content_octets != 0)
		abort();
	fixture_end(&fixture);
	return 0;
}
