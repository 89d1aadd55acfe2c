/* reply_judgement - see reply_judgement.h */
#include "smtp/reply_judgement.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The length of an enhanced status code (RFC 3463) at the start of text that agrees with the reply's class; 0: none. */
static size_t
status_length(const char *text, int code)
{
	const char *next = text;
	int part;

	if (*next++ != '0' + code / 100)
		return 0;
	for (part = 0; part < 2; part++) {
		size_t digits = strspn(next + (*next == '.'), "0123456789");

		if (*next != '.' || digits < 1 || digits > 3)
			return 0;
		next += 1 + digits;
	}
	return *next == '\0' || *next == ' ' ? (size_t)(next - text) : 0;
}

/* RFC 3463 has no class for most of the old codes; what their second digit says is kept. */
static void
derive_status(int code, char status[static 16])
{
	const char *detail = "0.0";

	if (code / 100 != 2 && code / 10 % 10 == 0)
		detail = "5.0";		/* syntax: protocol status */
	else if (code / 100 != 2 && code / 10 % 10 == 2)
		detail = "3.0";		/* connection: mail system status */
	snprintf(status, 16, "%d.%s", code / 100 % 10, detail);
}

/* Makes text one line of ASCII, as a reply has to be: it goes into queue, log and reports. */
static void
sanitise(char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

static enum failure_class
classify(const char *status, int code, enum reply_asked asked)
{
	if (strcmp(status, "5.3.4") == 0 || strcmp(status, "5.2.3") == 0)
		return FAILURE_SIZE;
	if (strcmp(status, "5.1.2") == 0 || strcmp(status, "5.1.10") == 0)
		return FAILURE_DOMAIN;
	if (strncmp(status, "5.1.", 4) == 0 && asked == REPLY_TO_RCPT)
		return FAILURE_USERNAME;
	if (strncmp(status, "5.2.", 4) == 0)
		return FAILURE_DELIVERY;
	if (strncmp(status, "5.7.", 4) == 0)
		return FAILURE_RESTRICTION;
	if (code == 552)
		return FAILURE_SIZE;
	if ((code == 550 || code == 551 || code == 553) && asked == REPLY_TO_RCPT)
		return FAILURE_USERNAME;
	return FAILURE_TRANSFER;
}

void
reply_judge(const struct smtp_reply *reply, enum reply_asked asked, struct reply_judgement *judgement_out)
{
	const char *text = smtp_reply_last_line(reply);
	size_t length = status_length(text, reply->code);

	memset(judgement_out, 0, sizeof(*judgement_out));
	if (reply->code / 100 == 3) {
		judgement_set(judgement_out, DELIVERY_DEFERRED, FAILURE_NONE, "4.5.0", "out of step: %d %s", reply->code,
		    text);
		return;
	}
	if (length > 0 && length < sizeof(judgement_out->status))
		memcpy(judgement_out->status, text, length);
	else
		derive_status(reply->code, judgement_out->status);
	snprintf(judgement_out->text, sizeof(judgement_out->text), "%d%s%.1000s", reply->code,
	    text[0] == '\0' ? "" : " ", text);
	sanitise(judgement_out->text);
	judgement_out->outcome = DELIVERY_DEFERRED;
	if (reply->code / 100 == 2) {
		judgement_out->outcome = DELIVERY_DONE;
	} else if (reply->code / 100 == 5) {
		judgement_out->outcome = DELIVERY_FAILED;
		judgement_out->failure = classify(judgement_out->status, reply->code, asked);
	}
}

void
judgement_set(struct reply_judgement *judgement, enum delivery_outcome outcome, enum failure_class failure,
    const char *status, const char *format, ...)
{
	va_list arguments;

	memset(judgement, 0, sizeof(*judgement));
	judgement->outcome = outcome;
	judgement->failure = failure;
	snprintf(judgement->status, sizeof(judgement->status), "%s", status);
	va_start(arguments, format);
	vsnprintf(judgement->text, sizeof(judgement->text), format, arguments);
	va_end(arguments);
	sanitise(judgement->text);
}

bool
reply_says_too_many_recipients(const struct smtp_reply *reply)
{
	const char *text = smtp_reply_last_line(reply);
	size_t length = status_length(text, reply->code);

	/* 552 was RFC 821's code for it (RFC 5321 4.5.3.1.10); enhanced, the reason is 5.3 of either class. */
	if (reply->code != 452 && reply->code != 552)
		return false;
	return length == 0 || (length == 5 && strncmp(text + 1, ".5.3", 4) == 0);
}
