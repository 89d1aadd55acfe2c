/* fuzz_parameters - what is decoded from parameters has no controls, whatever was sent */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "smtpd/parameters.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_decoded(const char *text, size_t room)
{
	size_t length = strnlen(text, room);

	if (length == room)
		abort();
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct parameters_allowed all = { true, true, true, true };
	struct mail_parameters mail;
	struct rcpt_parameters rcpt;
	struct parameter_refusal refusal;
	char *text = malloc(size + 1);

	memcpy(text, data, size);
	if (!mail_parameters_parse(text, size, &all, &mail, &refusal))
		check_decoded(refusal.text, sizeof(refusal.text));
	check_decoded(mail.envid, sizeof(mail.envid));
	if (!rcpt_parameters_parse(text, size, &all, &rcpt, &refusal))
		check_decoded(refusal.text, sizeof(refusal.text));
	check_decoded(rcpt.original, sizeof(rcpt.original));
	free(text);
	return 0;
}
