/* arrival - see arrival.h */
#include "smtpd/arrival.h"

#include <string.h>

#include "smtpd/judging.h"
#include "smtpd/session.h"

/* The built-in words, or the administrator's, whose %s is the date. */
static void
greet(struct session *session)
{
	const char *words = rules_configuration(session->rules)->smtp_greeting.text;
	const char *placeholder = strstr(words, "%s");
	struct buffer text = BUFFER_INITIALIZER(REPLY_LINE_MAX);
	char date[40];

	clock_format_rfc5322(clock_wall_ms(), date);
	buffer_append_string(&text, rules_host_name(session->rules));
	buffer_append_byte(&text, ' ');
	if (*words == '\0')
		buffer_printf(&text, "ESMTP Service (Matador %s) ready at %s", MATADOR_VERSION, date);
	else if (placeholder == NULL)
		buffer_append_string(&text, words);
	else
		buffer_printf(&text, "%.*s%s%s", (int)(placeholder - words), words, date, placeholder + 2);
	session_reply(session, REPLY_GREETING, buffer_text(&text));
	buffer_free(&text);
}

void
arrival_continue(struct session *session)
{
	struct control_judgement judgement;

	switch (judging_continue(session, NULL, &judgement)) {
	case CONTROL_NEEDS:
		judging_wait(session, SESSION_ARRIVING, judgement.fact);
		break;
	case CONTROL_REFUSES:
		judging_log_refusal(session, session->judged_last, &judgement);
		session_close(session, judgement.reply, judgement.text, "refused");
		break;
	default:
		session_enter(session, SESSION_CONNECTED);
		greet(session);
	}
}

void
arrival_begin(struct session *session)
{
	judging_start(session, CONTROL_AT_CONNECT);
	arrival_continue(session);
}
