/*
 * policy - verdicts that need other people's parsers
 *
 * smtpd asks about a session; policy answers with an SPF verdict. While no SPF check is configured the
 * verdict is "none", RFC 7208's word for a policy that was not looked up, and nothing is asked of the DNS.
 *
 * SECURITY: meant to run parsers that are not ours on what strangers say, and to crash alone when they do. It
 * runs as a user of its own in an empty root, without files and without network: names are looked up by
 * resolver.
 */
#include <stdlib.h>
#include <sys/queue.h>

#include "common/base/memory.h"
#include "common/ipc/dns.h"
#include "common/ipc/policy.h"
#include "common/log/log.h"
#include "common/worker/worker.h"

/* The channel to one smtpd process. */
struct client {
	TAILQ_ENTRY(client) entries;
	struct program *program;
	struct channel *channel;
};

struct program {
	TAILQ_HEAD(, client) clients;
	struct channel *resolver;
	uint64_t answered;
};

static void
client_free(struct client *client)
{
	TAILQ_REMOVE(&client->program->clients, client, entries);
	channel_free(&client->channel);
	free(client);
}

static void
handle_spf(void *context, struct channel *channel, const struct spf_question *question)
{
	struct client *client = context;
	struct spf_answer answer = { .id = question->id, .helo = SPF_VERDICT_NONE, .mail = SPF_VERDICT_NONE, .text = "" };

	client->program->answered++;
	if (!send_spf_answer(channel, &answer)) {
		log_event(LOG_PEER_LOST, "smtpd", "an answer cannot be sent");
		client_free(client);
	}
}

static void
client_closed(void *context, struct channel *channel UNUSED, const char *reason)
{
	log_event(LOG_PEER_LOST, "smtpd", reason);
	client_free(context);
}

static void
resolver_closed(void *context, struct channel *channel UNUSED, const char *reason)
{
	struct program *program = context;

	log_event(LOG_PEER_LOST, "resolver", reason);
	channel_free(&program->resolver);
}

static void
add_client(struct worker *worker, struct program *program, enum ipc_side side, int socket)
{
	static const struct policy_handlers handlers = { .spf_question = handle_spf };
	static const struct channel_events events = { .closed = client_closed };
	struct client *client = memory_new(1, sizeof(*client));

	client->program = program;
	TAILQ_INSERT_TAIL(&program->clients, client, entries);
	client->channel = channel_open(worker_event_base(worker), socket, &policy_protocol, side, &handlers, &events,
	    client);
}

static void
policy_after_jail(struct worker *worker)
{
	struct program *program = worker_context(worker);

	TAILQ_INIT(&program->clients);
}

static void
policy_introduced(struct worker *worker, enum role peer, unsigned instance UNUSED,
    const struct ipc_protocol *protocol UNUSED, enum ipc_side side, int socket)
{
	static const struct dns_handlers handlers;
	static const struct channel_events events = { .closed = resolver_closed };
	struct program *program = worker_context(worker);

	if (peer == ROLE_SMTPD) {
		add_client(worker, program, side, socket);
	} else if (peer == ROLE_RESOLVER) {
		channel_free(&program->resolver);
		program->resolver = channel_open(worker_event_base(worker), socket, &dns_protocol, side, &handlers, &events,
		    program);
	} else {
		worker_fatal(worker, "introduced to %s, which policy does not know", role_rows[peer].name);
	}
}

static void
policy_status(struct worker *worker, struct buffer *lines)
{
	struct program *program = worker_context(worker);

	buffer_printf(lines, "verdicts=%llu\n", (unsigned long long)program->answered);
}

static void
policy_leaving(struct worker *worker)
{
	struct program *program = worker_context(worker);

	while (!TAILQ_EMPTY(&program->clients))
		client_free(TAILQ_FIRST(&program->clients));
	channel_free(&program->resolver);
}

int
main(int argc, char **argv)
{
	static const struct worker_hooks hooks = {
		.role = ROLE_POLICY,
		.after_jail = policy_after_jail,
		.introduced = policy_introduced,
		.status = policy_status,
		.leaving = policy_leaving,
	};
	static struct program program;

	return worker_run(argc, argv, &hooks, &program);
}
