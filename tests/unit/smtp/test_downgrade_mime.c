/* Unit tests of smtp/downgrade_mime.c, mime_header.c and quoted_printable.c; row 60 of docs/reference/hostile-inputs.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/memory.h"
#include "smtp/downgrade_mime.h"

/* Converts in blocks of so many octets. NULL when it cannot be converted. The caller's. */
static char *
convert(const char *message, size_t block)
{
	struct downgrade *downgrade = downgrade_new();
	struct buffer out = BUFFER_INITIALIZER(0);
	size_t length = strlen(message), offset;
	char *result = NULL;

	for (offset = 0; offset < length; offset += block)
		downgrade_survey(downgrade, message + offset, length - offset < block ? length - offset : block);
	if (downgrade_survey_end(downgrade)) {
		for (offset = 0; offset < length; offset += block)
			downgrade_rewrite(downgrade, message + offset, length - offset < block ? length - offset : block, &out);
		downgrade_rewrite_end(downgrade, &out);
		result = memory_copy_string(buffer_text(&out));
	}
	downgrade_free(&downgrade);
	buffer_free(&out);
	return result;
}

struct row {
	const char *in, *out;	/* out is NULL: cannot be converted */
};

static void
check_rows(const struct row *rows, size_t count)
{
	static const size_t blocks[] = { 1, 2, 7, 64, 100000 };
	size_t i, j;

	for (i = 0; i < count; i++)
		for (j = 0; j < sizeof(blocks) / sizeof(blocks[0]); j++) {
			char *out = convert(rows[i].in, blocks[j]);

			assert_int_equal(out == NULL, rows[i].out == NULL);
			if (out != NULL)
				assert_string_equal(out, rows[i].out);
			free(out);
		}
}

#define MIXED "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b 1\"\r\n"
#define SEVENTY "0123456789012345678901234567890123456789012345678901234567890123456789"
#define QP "Content-Transfer-Encoding: quoted-printable\r\n"

static void
encodes_a_message_of_one_part(void **state)
{
	static const struct row rows[] = {
		{ "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nSubject: x\r\n\r\n"
		    "Gr\xc3\xbc\xc3\x9f" "e = 1\t\r\n\r\n.\r\n",
		    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nSubject: x\r\n" QP "\r\n"
		    "Gr=C3=BC=C3=9Fe =3D 1=09\r\n\r\n.\r\n" },
		/* the encoding was not said, or the message is not even MIME */
		{ "Content-Type: text/plain\r\n\r\n\xe9\r\n", "Content-Type: text/plain\r\nMIME-Version: 1.0\r\n" QP "\r\n=E9\r\n" },
		{ "Subject: x\r\n\r\n\xe9", "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n" QP
		    "\r\n=E9" },
		/* 8-bit octets in the message's own header are left alone */
		{ "Subject: \xe9\r\nMIME-Version: 1.0\r\nContent-Type: text/x; a=b\r\n\r\n\xe9",
		    "Subject: \xe9\r\nMIME-Version: 1.0\r\nContent-Type: text/x; a=b\r\n" QP "\r\n=E9" },
		/* folded fields, lower case, line feeds alone */
		{ "mime-version: 1.0\ncontent-type:\n text/plain\ncontent-transfer-encoding:\n 8BIT (really)\n\n\xe9\n",
		    "mime-version: 1.0\ncontent-type:\n text/plain\n" QP "\n=E9\r\n" },
		/* of what is no text, line ends are octets; the last one ends the line */
		{ "MIME-Version: 1.0\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: binary\r\n\r\na\r\n\xff \r\n\r\nz\r\n",
		    "MIME-Version: 1.0\r\nContent-Type: image/x\r\n" QP "\r\na=0D=0A=FF=20=0D=0A=0D=0Az\r\n" },
	};

	(void)state;
	check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

static void
leaves_what_is_seven_bit_as_it_is(void **state)
{
	static const struct row rows[] = {
		{ "Subject: x\r\n\r\nplain =\r\n", "Subject: x\r\n\r\nplain =\r\n" },
		{ "", "" },
		{ "Subject: x\r\n", "Subject: x\r\n" },
		{ "\r\nbody", "\r\nbody" },
		{ "no field\r\n\r\nbody \r\n", "no field\r\n\r\nbody \r\n" },
		{ MIXED "\r\npreamble\r\n--b 1\r\nContent-Transfer-Encoding: base64\r\n\r\nAAA=\r\n--b 1--\r\nepilogue",
		    MIXED "\r\npreamble\r\n--b 1\r\nContent-Transfer-Encoding: base64\r\n\r\nAAA=\r\n--b 1--\r\nepilogue" },
	};

	(void)state;
	check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

static void
encodes_just_the_parts_that_need_it(void **state)
{
	static const struct row rows[] = {
		{ MIXED "Content-Transfer-Encoding: 8bit\r\n\r\n--b 1\r\n\r\nplain = \r\n--b 1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
		    "\xe9\r\n--b 1  \r\nContent-Type: text/html\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<p>\r\n--b 1--\r\n\r\n",
		    MIXED "Content-Transfer-Encoding: 7bit\r\n\r\n--b 1\r\n\r\nplain = \r\n--b 1\r\n" QP "\r\n"
		    "=E9\r\n--b 1  \r\nContent-Type: text/html\r\nContent-Transfer-Encoding: 7bit\r\n\r\n<p>\r\n--b 1--\r\n\r\n" },
		/* an attachment beside a part that is encoded already: its last line end is the delimiter's */
		{ MIXED "\r\n--b 1\r\nContent-Type: image/x\r\n\r\n\xff\r\n\xfe\r\n--b 1\r\nContent-Transfer-Encoding: base64\r\n\r\n/w==\r\n"
		    "--b 1--",
		    MIXED "\r\n--b 1\r\nContent-Type: image/x\r\n" QP "\r\n=FF=0D=0A=FE\r\n--b 1\r\nContent-Transfer-Encoding: base64\r\n\r\n"
		    "/w==\r\n--b 1--" },
		/* nested: an outer delimiter ends the inner multipart, a line that only begins like one does not */
		{ MIXED "\r\n--b 1\r\nContent-Type: multipart/alternative; x=\"a;b\\\"\"; BOUNDARY=b\r\n\r\n--b\r\n\r\n\xe9\r\n--bc\r\n--b--x\r\n"
		    "--b 1\r\n\r\n\xe8\r\n--b\r\n--b 1--\r\n",
		    MIXED "\r\n--b 1\r\nContent-Type: multipart/alternative; x=\"a;b\\\"\"; BOUNDARY=b\r\n\r\n--b\r\n" QP "\r\n=E9\r\n=2D-bc\r\n"
		    "=2D-b--x\r\n--b 1\r\n" QP "\r\n=E8\r\n=2D-b\r\n--b 1--\r\n" },
		/* messages in messages, also those of a digest, which need not say so */
		{ MIXED "\r\n--b 1\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: y\r\n\r\n\xe9\r\n--b 1--\r\n",
		    MIXED "\r\n--b 1\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: y\r\nMIME-Version: 1.0\r\n"
		    "Content-Type: text/plain; charset=unknown-8bit\r\n" QP "\r\n=E9\r\n--b 1--\r\n" },
		{ "Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nContent-Type: text/x\r\nMIME-Version: 1.0\r\n\r\n\xe9\r\n--d--\r\n",
		    "Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nContent-Type: text/x\r\nMIME-Version: 1.0\r\n" QP
		    "\r\n=E9\r\n--d--\r\n" },
		/* a part without a body, without even an empty line */
		{ MIXED "\r\n--b 1\r\nContent-Type: text/plain\r\n--b 1\r\n\r\n\xe9\r\n--b 1--",
		    MIXED "\r\n--b 1\r\nContent-Type: text/plain\r\n--b 1\r\n" QP "\r\n=E9\r\n--b 1--" },
		/* where a line is cut, no delimiter comes to stand at the beginning of the next one */
		{ MIXED "\r\n--b 1\r\n\r\n\xe9\r\n" SEVENTY "12345--b 1\r\n-\r\n--b 1--\r\n",
		    MIXED "\r\n--b 1\r\n" QP "\r\n=E9\r\n" SEVENTY "12345=\r\n=2D-b 1\r\n=2D\r\n--b 1--\r\n" },
		/* a signed part without 8-bit octets beside one that has some */
		{ MIXED "\r\n--b 1\r\nContent-Type: multipart/signed; boundary=s\r\nContent-Transfer-Encoding: 8bit\r\n\r\n--s\r\n"
		    "Content-Transfer-Encoding: 8bit\r\n\r\nx \r\n--s--\r\n--b 1\r\n\r\n\xe9\r\n--b 1--\r\n",
		    MIXED "\r\n--b 1\r\nContent-Type: multipart/signed; boundary=s\r\nContent-Transfer-Encoding: 8bit\r\n\r\n--s\r\n"
		    "Content-Transfer-Encoding: 8bit\r\n\r\nx \r\n--s--\r\n--b 1\r\n" QP "\r\n=E9\r\n--b 1--\r\n" },
	};

	(void)state;
	check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

static void
refuses_what_it_may_not_change(void **state)
{
	static const struct row rows[] = {
		{ "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xe9\r\n--b--\r\n", NULL },
		{ MIXED "\r\n--b 1\r\nContent-Type: Multipart/Encrypted; boundary=s\r\n\r\n--s\r\n\r\n\xe9\r\n--s--\r\n--b 1--\r\n", NULL },
		/* encoded already, and 8-bit all the same */
		{ "Content-Transfer-Encoding: base64\r\n\r\n\xe9\r\n", NULL },
		{ "Content-Transfer-Encoding: x-own\r\n\r\n\xe9\r\n", NULL },
		/* messages that are none, or international ones */
		{ "Content-Type: message/global\r\n\r\nSubject: \xc3\xa9\r\n\r\n", NULL },
		{ "Content-Type: message/partial\r\n\r\n\xe9", NULL },
		{ "Content-Type: message/rfc822\r\n\r\nSubject: \xe9\r\n\r\n", NULL },
		/* between the parts, and in their headers */
		{ MIXED "\r\npr\xc3\xa9" "amble\r\n--b 1--\r\n", NULL },
		{ MIXED "\r\n--b 1--\r\n\xe9pilogue\r\n", NULL },
		{ MIXED "\r\n--b 1\r\nContent-Type: text/plain; name=\xe9\r\n\r\nx\r\n--b 1--\r\n", NULL },
		/* multiparts whose boundary is not known for sure */
		{ "Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\n\xe9", NULL },
		{ "Content-Type: multipart/mixed; boundary*0=b; boundary*1=c\r\n\r\n--bc\r\n\r\n\xe9", NULL },
		{ "Content-Type: multipart/mixed; boundary=\r\n\r\n--\r\n\r\n\xe9", NULL },
		{ "Content-Type: multipart/mixed; boundary=\"b\r\n\r\n--b\r\n\r\n\xe9", NULL },
		/* headers that others may read in another way */
		{ "Content-Type: text/plain\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n\xe9", NULL },
		{ "Content-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: base64\r\n\r\n\xe9", NULL },
		{ "Content-Type: text/plain\r\nwhat is this\r\nContent-Type: image/x\r\n\r\n\xe9", NULL },
		{ "Content-Type: strange\r\n\r\n\xe9", NULL },
	};

	(void)state;
	check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

/* Lines of any length, cut anywhere, become lines of at most 76 octets that decode to what they were. */
static void
encodes_long_lines_without_loss(void **state)
{
	static const char header[] = "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n";
	size_t length, i;

	(void)state;
	for (length = 1; length < 4000; length += 37) {
		char *message = memory_new(sizeof(header) + length, 1), *out, *next;
		struct buffer decoded = BUFFER_INITIALIZER(0);
		size_t column = 0;

		memcpy(message, header, sizeof(header) - 1);
		for (i = 0; i < length; i++)
			message[sizeof(header) - 1 + i] = "a =\t\xe9\xff.-"[(i * i + length) % 8];
		message[sizeof(header) - 1] = '\xe9';
		out = convert(message, length % 50 + 1);
		assert_non_null(out);
		next = strstr(out, "\r\n\r\n") + 4;
		for (; *next != '\0'; next++) {
			column++;
			if (strncmp(next, "=\r\n", 3) == 0) {
				assert_true(column <= 76);
				column = 0;
				next += 2;
			} else if (*next == '=') {
				char code[3] = { next[1], next[2], '\0' };

				buffer_append_byte(&decoded, (char)strtoul(code, NULL, 16));
				column += 2;
				next += 2;
			} else {
				buffer_append_byte(&decoded, *next);
			}
			assert_true(column <= 76 && (unsigned char)*next < 128);
		}
		assert_int_equal(decoded.length, length);
		assert_memory_equal(decoded.data, message + sizeof(header) - 1, length);
		buffer_free(&decoded);
		free(message);
		free(out);
	}
}

/* Row 62: what is nested too deep, has too many parts or too large a header is not converted, and costs little. */
static void
has_limits(void **state)
{
	struct buffer message = BUFFER_INITIALIZER(0);
	unsigned i;

	(void)state;
	for (i = 0; i < 100; i++)
		buffer_printf(&message, "Content-Type: multipart/mixed; boundary=b%u\r\n\r\n--b%u\r\n", i, i);
	buffer_append_string(&message, "\r\n\xe9\r\n");
	assert_null(convert(message.data, 1000));
	buffer_clear(&message);
	buffer_append_string(&message, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
	for (i = 0; i < 20000; i++)
		buffer_append_string(&message, "--b\r\n\r\n\xe9\r\n");
	assert_null(convert(message.data, 1000));
	buffer_clear(&message);
	for (i = 0; i < 20000; i++)
		buffer_append_string(&message, "X-Filler: 0123456789\r\n");
	buffer_append_string(&message, "\r\n\xe9\r\n");
	assert_null(convert(message.data, 1000));
	buffer_clear(&message);
	/* Messages in messages need no memory, so they need no limit. */
	for (i = 0; i < 1000; i++)
		buffer_append_string(&message, "Content-Type: message/rfc822\r\n\r\n");
	buffer_append_string(&message, "\r\n\xe9\r\n");
	free(convert(message.data, 1000));
	buffer_free(&message);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encodes_a_message_of_one_part),
		cmocka_unit_test(leaves_what_is_seven_bit_as_it_is),
		cmocka_unit_test(encodes_just_the_parts_that_need_it),
		cmocka_unit_test(refuses_what_it_may_not_change),
		cmocka_unit_test(encodes_long_lines_without_loss),
		cmocka_unit_test(has_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
