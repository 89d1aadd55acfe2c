/*
 * policy - verdicts that need other people's parsers, and counts over all smtpd processes
 *
 * smtpd asks about a session; policy answers with SPF verdicts (spf_verdicts.h), and whether a client keeps its rates (rates.h) and
 * its number of sessions (open_sessions.h).
 *
 * SECURITY: it runs as a user of its own in an empty root, without files and without network: names are looked up by
 * resolver. What strangers wrote is read by its child only, the evaluator, which has less than that and may crash
 * (evaluator.h).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/conf/settings.h"
#include "common/ipc/policy.h"
#include "common/log/log.h"
#include "common/worker/worker.h"
#include "policy/open_sessions.h"
#include "policy/rates.h"
#include "policy/spf_evaluate.h"
#include "policy/spf_verdicts.h"

/* An SPF question that is not answered yet. */
struct asked_spf {
	TAILQ_ENTRY(asked_spf) entries;
	struct client *client;
	uint64_t id;
	struct spf_check *check;
};

/* A question about a session that waits until every smtpd process has told how many it has. */
struct asked_session {
	TAILQ_ENTRY(asked_session) entries;
	struct client *client;
	uint64_t id;
	char address[];
};

/* The channel to one smtpd process. */
struct client {
	TAILQ_ENTRY(client) entries;
	struct program *program;
	struct channel *channel;
	TAILQ_HEAD(, asked_spf) asked_spf;
	TAILQ_HEAD(, asked_session) asked_sessions;
	struct session_process *process;
};

struct program {
	TAILQ_HEAD(, client) clients;
	struct spf_verdicts *spf;
	struct rates *rates;
	struct open_sessions *sessions;
	size_t maximum_sessions_per_client;
	uint64_t exceeded;		/* questions answered so */
};

static void
free_asked_spf(struct asked_spf *asked)
{
	spf_verdicts_forget(&asked->check);
	TAILQ_REMOVE(&asked->client->asked_spf, asked, entries);
	free(asked);
}

static void
free_asked_session(struct asked_session *asked)
{
	TAILQ_REMOVE(&asked->client->asked_sessions, asked, entries);
	free(asked);
}

static void
client_free(struct client *client)
{
	open_sessions_remove_process(&client->process);
	while (!TAILQ_EMPTY(&client->asked_sessions))
		free_asked_session(TAILQ_FIRST(&client->asked_sessions));
	while (!TAILQ_EMPTY(&client->asked_spf))
		free_asked_spf(TAILQ_FIRST(&client->asked_spf));
	TAILQ_REMOVE(&client->program->clients, client, entries);
	channel_free(&client->channel);
	free(client);
}

static void
spf_answered(void *owner, const struct spf_answer *answer)
{
	struct asked_spf *asked = owner;
	struct client *client = asked->client;
	struct spf_answer sent = *answer;

	sent.id = asked->id;
	asked->check = NULL;
	free_asked_spf(asked);
	if (!send_spf_answer(client->channel, &sent)) {
		log_event(LOG_PEER_LOST, "smtpd", "an answer cannot be sent");
		client_free(client);
	}
}

static void
handle_spf(void *context, struct channel *channel UNUSED, const struct spf_question *question)
{
	struct client *client = context;
	struct asked_spf *asked = memory_new(1, sizeof(*asked));

	asked->client = client;
	asked->id = question->id;
	TAILQ_INSERT_TAIL(&client->asked_spf, asked, entries);
	asked->check = spf_verdicts_ask(client->program->spf, question, spf_answered, asked);
}

/* ---- rates and sessions ---- */

/* A channel that cannot take an answer is closed, and says so by itself. */
static void
answer_rate(struct client *client, uint64_t id, const char *exceeded_rule)
{
	if (exceeded_rule != NULL)
		client->program->exceeded++;
	send_rate_answer(client->channel, &(struct rate_answer){ .id = id, .exceeded = exceeded_rule != NULL,
	    .rule = exceeded_rule != NULL ? exceeded_rule : "" });
}

/* The rule that says no to a session of a client with so many others; NULL: none. */
static const char *
judge_session(struct program *program, const char *address, size_t sessions, bool is_peek)
{
	if (sessions >= program->maximum_sessions_per_client)
		return "maximum_sessions_per_client";
	return rates_judge(program->rates, RATE_SESSION, address, "", is_peek, clock_monotonic_ms());
}

static bool
session_decided(void *owner, size_t sessions)
{
	struct asked_session *asked = owner;
	const char *rule = judge_session(asked->client->program, asked->address, sessions, false);

	answer_rate(asked->client, asked->id, rule);
	free_asked_session(asked);
	return rule == NULL;
}

static void
ask_session(struct client *client, const struct rate_question *question)
{
	size_t size = strlen(question->client_address) + 1;
	struct asked_session *asked = memory_new(1, sizeof(*asked) + size);

	asked->client = client;
	asked->id = question->id;
	memcpy(asked->address, question->client_address, size);
	TAILQ_INSERT_TAIL(&client->asked_sessions, asked, entries);
	open_sessions_ask(client->process, asked->address, asked);
}

static void
handle_rate(void *context, struct channel *channel UNUSED, const struct rate_question *question)
{
	struct client *client = context;
	struct program *program = client->program;
	bool is_peek = (question->flags & RATE_PEEK) != 0;
	const char *address = question->client_address;

	if (question->kind != RATE_SESSION)
		answer_rate(client, question->id, question->kind >= RATE_KIND_COUNT ? NULL : rates_judge(program->rates,
		    (enum rate_kind)question->kind, address, question->user, is_peek, clock_monotonic_ms()));
	else if (!is_peek && ((question->flags & RATE_CROWDED) != 0 || open_sessions_is_watched(program->sessions, address)))
		ask_session(client, question);
	else
		answer_rate(client, question->id, judge_session(program, address,
		    open_sessions_known(program->sessions, address), is_peek));
}

static void
handle_session(void *context, struct channel *channel UNUSED, const struct policy_session *message)
{
	struct client *client = context;

	open_sessions_tell(client->process, message->client_address, (enum session_change)message->change, message->count);
}

static void
watch_sessions(void *process_owner, const char *address, bool ends)
{
	struct client *client = process_owner;

	send_policy_watch(client->channel, &(struct policy_watch){ .ends = ends, .client_address = address });
}

/* ---- the programs around ---- */

static void
client_closed(void *context, struct channel *channel UNUSED, const char *reason)
{
	log_peer_lost("smtpd", reason);
	client_free(context);
}

static void
add_client(struct worker *worker, struct program *program, enum ipc_side side, int socket)
{
	static const struct policy_handlers handlers = { .spf_question = handle_spf, .rate_question = handle_rate,
		.policy_session = handle_session };
	static const struct channel_events events = { .closed = client_closed };
	struct client *client = memory_new(1, sizeof(*client));

	client->program = program;
	TAILQ_INIT(&client->asked_spf);
	TAILQ_INIT(&client->asked_sessions);
	client->process = open_sessions_add_process(program->sessions, client);
	TAILQ_INSERT_TAIL(&program->clients, client, entries);
	client->channel = channel_open(worker_event_base(worker), socket, &policy_protocol, side, &handlers, &events,
	    client);
}

static void
take_settings(struct worker *worker, struct program *program)
{
	const struct settings *settings = worker_settings(worker);

	spf_verdicts_configure(program->spf, settings->configuration.spf_timeout.number * 1000,
	    settings->server.internet_host_name.text);
	rates_configure(program->rates, &settings->configuration);
	program->maximum_sessions_per_client = (size_t)settings->configuration.maximum_sessions_per_client.number;
}

static void
policy_after_jail(struct worker *worker)
{
	static const struct open_sessions_events events = { .watch = watch_sessions, .decide = session_decided };
	struct program *program = worker_context(worker);

	TAILQ_INIT(&program->clients);
	program->spf = spf_verdicts_new(worker_event_base(worker), spf_evaluate_packed);
	program->rates = rates_new();
	program->sessions = open_sessions_new(worker_event_base(worker), OPEN_SESSIONS_PATIENCE_MS, &events);
	take_settings(worker, program);
}

static void
policy_reloaded(struct worker *worker)
{
	take_settings(worker, worker_context(worker));
}

static void
policy_introduced(struct worker *worker, enum role peer, unsigned instance UNUSED,
    const struct ipc_protocol *protocol UNUSED, enum ipc_side side, int socket)
{
	struct program *program = worker_context(worker);

	if (peer == ROLE_SMTPD) {
		add_client(worker, program, side, socket);
	} else if (peer == ROLE_RESOLVER) {
		spf_verdicts_connect(program->spf, socket);
	} else {
		worker_fatal(worker, "introduced to %s, which policy does not know", role_rows[peer].name);
	}
}

static void
policy_status(struct worker *worker, struct buffer *lines)
{
	struct program *program = worker_context(worker);

	spf_verdicts_status(program->spf, lines);
	buffer_printf(lines, "rates=%zu\n", rates_count(program->rates));
	buffer_printf(lines, "clients_watched=%zu\n", open_sessions_watched(program->sessions));
	buffer_printf(lines, "exceeded=%" PRIu64 "\n", program->exceeded);
}

static void
policy_leaving(struct worker *worker)
{
	struct program *program = worker_context(worker);

	while (!TAILQ_EMPTY(&program->clients))
		client_free(TAILQ_FIRST(&program->clients));
	open_sessions_free(&program->sessions);
	rates_free(&program->rates);
	spf_verdicts_free(&program->spf);
}

int
main(int argc, char **argv)
{
	static const struct worker_hooks hooks = {
		.role = ROLE_POLICY,
		.after_jail = policy_after_jail,
		.reloaded = policy_reloaded,
		.introduced = policy_introduced,
		.status = policy_status,
		.leaving = policy_leaving,
	};
	static struct program program;

	return worker_run(argc, argv, &hooks, &program);
}
