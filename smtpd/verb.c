/* verb - see verb.h */
#include "smtpd/verb.h"

#include <string.h>
#include <strings.h>

#include "common/base/attributes.h"
#include "common/base/utf8.h"
#include "smtpd/session.h"

#define SESSION_IDLE_COST 1200		/* so many NOOP are one too many; 1000 pipelined commands are not */

#define IN(state) (1u << SESSION_##state)
#define IDLE (IN(CONNECTED) | IN(READY))
#define ANY (~0u)

enum verb_octets { ASCII, UTF8 };

struct verb {
	const char *word;
	unsigned states;
	enum verb_octets octets;
	unsigned cost;
	verb_function *run;
};

static const struct verb verbs[] = {
#define VERB(word, states, octets, cost, function) { word, states, octets, cost, function },
#include "smtpd/verbs.def"
#undef VERB
};

static const struct verb *
find_verb(const char *word, size_t length)
{
	for (size_t i = 0; i < ARRAY_COUNT(verbs); i++)
		if (strlen(verbs[i].word) == length && strncasecmp(verbs[i].word, word, length) == 0)
			return &verbs[i];
	return NULL;
}

static bool
is_ascii(const char *line, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)line[i] >= 0x80)
			return false;
	return true;
}

/* Whether the session may have one more command; closes it otherwise. */
static bool
count_command(struct session *session, unsigned cost)
{
	const struct document_configuration *configuration = rules_configuration(session->rules);

	session->commands++;
	session->idle_commands += cost;
	if (session->commands <= configuration->maximum_commands_per_session.number &&
	    session->idle_commands <= SESSION_IDLE_COST)
		return true;
	session_close(session, REPLY_TOO_MANY_COMMANDS, NULL, "too many commands");
	return false;
}

/* What a client out of step should have sent. */
static const char *
expected_command(const struct verb *verb, enum session_state state)
{
	if (verb->run == verb_mail && (state == SESSION_SENDER || state == SESSION_RECIPIENTS))
		return "the sender is given already, RSET to begin again";
	switch (state) {
	case SESSION_CONNECTED:
		return "EHLO or HELO first";
	case SESSION_READY:
		return "MAIL first";
	case SESSION_SENDER:
		return "no valid recipient, RCPT first";
	case SESSION_CHUNKS:
		return "BDAT or RSET expected";
	default:
		return "not in a transaction";
	}
}

static void
run_known_verb(struct session *session, const struct verb *verb, const char *line, size_t length)
{
	size_t skip = strlen(verb->word);

	if ((verb->states & (1u << session->state)) == 0) {
		session_reply(session, REPLY_BAD_SEQUENCE, expected_command(verb, session->state));
		return;
	}
	if (!is_ascii(line, length) && (verb->octets == ASCII || !utf8_is_valid(line, length))) {
		session_reply(session, REPLY_LINE_MALFORMED, NULL);
		return;
	}
	if (skip < length)
		skip++;
	verb->run(session, line + skip, length - skip);
}

void
verb_run(struct session *session, const char *line, size_t length)
{
	const struct verb *verb;
	const char *blank;
	size_t word_length;

	while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t'))
		length--;
	blank = memchr(line, ' ', length);
	word_length = blank != NULL ? (size_t)(blank - line) : length;
	verb = find_verb(line, word_length);
	if (!count_command(session, verb != NULL ? verb->cost : 0))
		return;
	if (verb != NULL)
		run_known_verb(session, verb, line, length);
	else
		session_reply(session, REPLY_NOT_RECOGNIZED, NULL);
}
