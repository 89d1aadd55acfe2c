/*
 * judge_sessions - asks the inbound controls about sessions that nobody holds, for comparison with a second evaluator
 *
 * Reads lines of fields with tabs between them from standard input and answers each with one line:
 *
 *   settings FOLDER          the etc/ that counts from now on: "settings", or "mistakes" and what is wrong
 *   session KEY=VALUE ...    "accepted" or "refused", stage, control, rule, reply, the filters that have the client
 *                            (control|tag|note) and the facts that were asked for
 *
 * The keys are client, user, name (host,1 when it leads back to the address), names_silent, list (one a zone, whitelists
 * first: the answers, or "silent"), sender, sender_domain, recipient, directory. A fact is known only after a control
 * has asked for it.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/conf/documents.h"
#include "common/mail/local_domain.h"
#include "smtpd/controls/walk.h"
#include "smtpd/path.h"
#include "smtpd/rules.h"

static const char *const fact_words[] = {
#define FACT(symbol, scope, word, meaning) [FACT_##symbol] = word,
#include "smtpd/controls/facts.def"
#undef FACT
};

static const char *const stage_words[] = { "CONNECT", "CLIENT", "MAIL", "RCPT" };
static const char *const sender_domain_words[] = { "exists", "missing", "silent", NULL };
static const char *const finding_words[] = { "unknown", "person", "group", "ambiguous", "silent", NULL };

/* What a line says of a session. */
struct told {
	struct sockaddr_storage address;
	struct host_names host_names;
	struct dns_lists *dns_lists;
	struct address sender, recipient;
	enum sender_domain_state sender_domain;
	enum recipient_finding directory;
};

struct judged {
	struct client_facts client;
	struct sender_facts sender;
	struct recipient_facts recipient;
	enum control_number last;	/* that judged */
	struct buffer hits, asked;
};

static void
give_up(const char *what, const char *about)
{
	fprintf(stderr, "judge_sessions: %s: %s\n", what, about);
	exit(1);
}

static size_t
word_number(const char *const *words, const char *word)
{
	for (size_t i = 0; words[i] != NULL; i++)
		if (strcmp(words[i], word) == 0)
			return i;
	give_up("not one of the words", word);
	return 0;
}

/* ---- settings ---- */

/* As smtpd sees them: sealed and unsealed again. NULL after an answer that says what is wrong. */
static struct rules *
read_rules(const char *folder)
{
	struct documents_report report;
	const struct settings *settings = documents_read(folder, &report), *sealed;
	struct error error = ERROR_INITIALIZER;
	struct rules *rules = NULL;
	int file;

	if (settings == NULL) {
		printf("mistakes\t");
		for (const char *c = buffer_text(&report.errors); *c != '\0'; c++)
			putchar(*c == '\n' ? ';' : *c);
		putchar('\n');
	} else {
		file = settings_seal(settings, ROLE_SMTPD, &error);
		sealed = file >= 0 ? settings_unseal(file, &error) : NULL;
		if (sealed == NULL)
			give_up("settings cannot be sealed", error.text);
		close(file);
		rules = rules_new(sealed);
		settings_release(&sealed);
		settings_release(&settings);
		puts("settings");
	}
	documents_report_free(&report);
	return rules;
}

/* ---- what a line says ---- */

static void
take_client(struct told *told, struct client_facts *client, const char *text)
{
	struct sockaddr_in *ipv4 = (struct sockaddr_in *)&told->address;
	struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)&told->address;

	client->address_text = text;
	client->is_local_user = strcmp(text, "local") == 0;
	if (client->is_local_user)
		return;
	client->address = (const struct sockaddr *)&told->address;
	if (inet_pton(AF_INET, text, &ipv4->sin_addr) == 1)
		ipv4->sin_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &ipv6->sin6_addr) == 1)
		ipv6->sin6_family = AF_INET6;
	else
		give_up("not an address", text);
}

static void
take_name(struct told *told, char *text)
{
	char *comma = strchr(text, ',');

	if (comma == NULL || told->host_names.count == HOST_NAMES_MAX)
		give_up("not a name, or one too many", text);
	*comma = '\0';
	snprintf(told->host_names.names[told->host_names.count].name, HOST_NAME_MAX_OCTETS + 1, "%s", text);
	told->host_names.names[told->host_names.count].is_confirmed = comma[1] == '1';
	told->host_names.count++;
	told->host_names.state = HOST_NAMES_FOUND;
}

static void
take_list(struct told *told, char *text)
{
	struct dns_list_answer *list;
	char *rest = NULL;

	told->dns_lists = realloc(told->dns_lists, sizeof(*told->dns_lists) +
	    (told->dns_lists->count + 1) * sizeof(told->dns_lists->answers[0]));
	if (told->dns_lists == NULL)
		give_up("no memory", text);
	list = &told->dns_lists->answers[told->dns_lists->count++];
	memset(list, 0, sizeof(*list));
	list->has_answered = strcmp(text, "silent") != 0;
	for (char *answer = strtok_r(text, ",", &rest); list->has_answered && answer != NULL; answer = strtok_r(NULL, ",", &rest))
		if (list->count == DNS_LIST_ANSWERS_MAX || inet_pton(AF_INET, answer, &list->answers[list->count++]) != 1)
			give_up("not an answer, or one too many", answer);
}

static void
take_path(struct address *address, const char *word, unsigned flags, const char *text)
{
	struct error error = ERROR_INITIALIZER;
	char argument[ADDRESS_PATH_MAX];
	size_t consumed;

	snprintf(argument, sizeof(argument), "%s<%s>", word, text);
	if (path_parse(argument, strlen(argument), word, flags, address, &consumed, &error) != 0)
		give_up(error.text, argument);
}

static void
take_field(struct told *told, struct judged *judged, const char *key, char *value)
{
	if (strcmp(key, "client") == 0)
		take_client(told, &judged->client, value);
	else if (strcmp(key, "user") == 0)
		judged->client.user = value;
	else if (strcmp(key, "name") == 0)
		take_name(told, value);
	else if (strcmp(key, "names_silent") == 0)
		told->host_names.state = HOST_NAMES_NO_ANSWER;
	else if (strcmp(key, "list") == 0)
		take_list(told, value);
	else if (strcmp(key, "sender") == 0)
		take_path(&told->sender, "FROM:", ADDRESS_ALLOW_NULL, value);
	else if (strcmp(key, "sender_domain") == 0)
		told->sender_domain = (enum sender_domain_state)word_number(sender_domain_words, value);
	else if (strcmp(key, "recipient") == 0)
		take_path(&told->recipient, "TO:", ADDRESS_ALLOW_BARE_POSTMASTER, value);
	else if (strcmp(key, "directory") == 0)
		told->directory = (enum recipient_finding)word_number(finding_words, value);
	else
		give_up("no such field", key);
}

/* ---- the verdict ---- */

/* A session starts with no fact known, so a control that reads one that it did not ask for finds zeroes or NULL. */
static void
learn(struct judged *judged, const struct told *told, enum fact fact)
{
	uint32_t *known = fact == FACT_SENDER_DOMAIN ? &judged->sender.known :
	    fact == FACT_DIRECTORY ? &judged->recipient.known : &judged->client.known;

	if (*known & FACT_BIT(fact))
		give_up("asked for twice", fact_words[fact]);
	*known |= FACT_BIT(fact);
	buffer_printf(&judged->asked, "%s%s", judged->asked.length > 0 ? "," : "", fact_words[fact]);
	switch (fact) {
	case FACT_HOST_NAMES: judged->client.host_names = &told->host_names; break;
	case FACT_DNS_LISTS: judged->client.dns_lists = told->dns_lists; break;
	case FACT_SENDER_DOMAIN: judged->sender.domain = told->sender_domain; break;
	case FACT_DIRECTORY: judged->recipient.directory = told->directory; break;
	default: give_up("nobody can say", fact_words[fact]);
	}
}

static void
note_judgement(void *context, enum control_number number, const struct control_judgement *judgement)
{
	static const char *const notes[] = { [NOTE_NOTHING] = "nothing", [NOTE_LOG] = "log", [NOTE_TAG] = "tag" };
	struct judged *judged = context;

	judged->last = number;
	if (controls[number].stage == CONTROL_AT_CLIENT && judgement->site[0] != '\0')
		buffer_printf(&judged->hits, "%s%s|%s|%s", judged->hits.length > 0 ? "," : "", controls[number].word,
		    judgement->site, notes[judgement->note]);
}

/* True when a stage is through. */
static bool
walk_stage(struct control_question *question, struct judged *judged, const struct told *told, enum control_stage stage,
    struct control_standing *standing, struct control_judgement *judgement)
{
	struct control_walk walk;
	enum control_verdict verdict;
	struct buffer reply = BUFFER_INITIALIZER(0);

	control_walk_start(&walk, stage, *standing);
	walk.judged = note_judgement;
	walk.context = judged;
	while ((verdict = control_walk_on(&walk, question, judgement)) == CONTROL_NEEDS)
		learn(judged, told, judgement->fact);
	*standing = walk.standing;
	if (verdict != CONTROL_REFUSES)
		return true;
	reply_append(&reply, judgement->reply, judgement->text, false, false);
	printf("refused\t%s\t%s\t%s\t%.*s\t", stage_words[stage], controls[judged->last].word, judgement->rule,
	    (int)reply.length - 2, buffer_text(&reply));
	buffer_free(&reply);
	return false;
}

static void
judge(struct rules *rules, struct judged *judged, const struct told *told)
{
	struct control_question question = { .rules = rules, .client = &judged->client };
	struct control_standing standing = { false, false };
	struct control_judgement judgement;
	bool passes = walk_stage(&question, judged, told, CONTROL_AT_CLIENT, &standing, &judgement);

	if (passes) {
		question.sender = &judged->sender;
		passes = walk_stage(&question, judged, told, CONTROL_AT_MAIL, &standing, &judgement);
	}
	if (passes) {
		question.recipient = &judged->recipient;
		passes = walk_stage(&question, judged, told, CONTROL_AT_RCPT, &standing, &judgement);
	}
	if (passes)
		printf("accepted\t\t\t\t\t");
	printf("%s\t%s\n", buffer_text(&judged->hits), buffer_text(&judged->asked));
}

static void
judge_session(struct rules *rules, char *fields)
{
	struct told told = { .dns_lists = memory_new(1, sizeof(struct dns_lists)), .host_names.state = HOST_NAMES_NONE };
	struct judged judged = { .sender.address = &told.sender, .recipient.address = &told.recipient };
	char *rest = NULL;

	buffer_init(&judged.hits, 0);
	buffer_init(&judged.asked, 0);
	for (char *field = strtok_r(fields, "\t", &rest); field != NULL; field = strtok_r(NULL, "\t", &rest)) {
		char *equals = strchr(field, '=');

		if (equals == NULL)
			give_up("not a field", field);
		*equals = '\0';
		take_field(&told, &judged, field, equals + 1);
	}
	judged.recipient.is_local = told.recipient.domain[0] == '\0' || is_local_internet_domain(rules->local_domains,
	    told.recipient.domain, NULL, NULL, &judged.recipient.primary_domain);
	judge(rules, &judged, &told);
	buffer_free(&judged.hits);
	buffer_free(&judged.asked);
	free(told.dns_lists);
}

int
main(void)
{
	struct rules *rules = NULL;
	char *line = NULL;
	size_t size = 0;
	ssize_t length;

	while ((length = getline(&line, &size, stdin)) > 0) {
		line[length - 1] = '\0';
		if (strncmp(line, "settings\t", 9) == 0) {
			rules_release(&rules);
			rules = read_rules(line + 9);
		} else if (strncmp(line, "session\t", 8) == 0 && rules != NULL) {
			judge_session(rules, line + 8);
		} else {
			give_up("not a line for me", line);
		}
		fflush(stdout);
	}
	rules_release(&rules);
	free(line);
	return 0;
}
