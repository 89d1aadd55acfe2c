/* host_lookup - see host_lookup.h */
#include "smtp/host_lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/hash_table.h"
#include "common/base/memory.h"
#include "common/log/log.h"

#define REPORTED_HOSTS_MAX 4096	/* past that the oldest is forgotten here */

struct host_lookup {
	struct host_lookups *lookups;
	TAILQ_ENTRY(host_lookup) entries;	/* of asked or unasked */
	struct hash_node by_id;
	uint64_t id;
	char *name;				/* owned */
	uint16_t port;
	uint8_t flags;
	bool asked;				/* on this channel */
	struct mail_hosts *hosts;		/* owned: the answer as far as it came */
	host_lookup_cb answered;
	void *context;
};

/* A host that resolver was told about as failed. */
struct reported_host {
	TAILQ_ENTRY(reported_host) entries;
	struct hash_node by_name;
	uint16_t port;
	char *name;				/* owned */
};

TAILQ_HEAD(lookup_list, host_lookup);

struct host_lookups {
	struct event_base *base;
	struct channel *channel;		/* NULL while there is no resolver */
	uint64_t next_id;
	struct lookup_list asked;
	struct lookup_list unasked;
	struct hash_table by_id;		/* all of both */
	struct hash_table reported;
	TAILQ_HEAD(, reported_host) reported_list;	/* the oldest first */
};

/* ---- questions -------------------------------------------------------------------------------- */

/* Asks what has not been asked, as far as credits go. */
static void
ask(struct host_lookups *lookups)
{
	struct host_lookup *lookup;

	while ((lookup = TAILQ_FIRST(&lookups->unasked)) != NULL) {
		struct mail_hosts_question question = { .id = lookup->id, .flags = lookup->flags, .port = lookup->port,
			.name = lookup->name };

		if (lookups->channel == NULL || !send_mail_hosts_question(lookups->channel, &question))
			return;
		lookup->asked = true;
		TAILQ_REMOVE(&lookups->unasked, lookup, entries);
		TAILQ_INSERT_TAIL(&lookups->asked, lookup, entries);
	}
}

static void
lookup_free(struct host_lookup *lookup)
{
	struct host_lookups *lookups = lookup->lookups;

	if (lookup->asked)
		TAILQ_REMOVE(&lookups->asked, lookup, entries);
	else
		TAILQ_REMOVE(&lookups->unasked, lookup, entries);
	hash_table_remove(&lookups->by_id, &lookup->by_id);
	mail_hosts_free(&lookup->hosts);
	free(lookup->name);
	free(lookup);
}

/* NULL for one that was cancelled. */
static struct host_lookup *
find(struct host_lookups *lookups, uint64_t id)
{
	struct hash_node *node;

	for (node = hash_table_find(&lookups->by_id, hash_number(id)); node != NULL; node = hash_node_next(node)) {
		struct host_lookup *lookup = HASH_CONTAINER(node, struct host_lookup, by_id);

		if (lookup->id == id && lookup->asked)
			return lookup;
	}
	return NULL;
}

static void
handle_host(void *context, struct channel *channel UNUSED, const struct mail_host *host)
{
	struct host_lookup *lookup = find(context, host->id);

	if (lookup != NULL)
		mail_hosts_add(lookup->hosts, host, lookup->port);
}

static void
handle_answer(void *context, struct channel *channel UNUSED, const struct mail_hosts_answer *answer)
{
	struct host_lookup *lookup = find(context, answer->id);
	struct mail_hosts *hosts;
	host_lookup_cb answered;
	void *owner;

	if (lookup == NULL)
		return;
	hosts = lookup->hosts;
	lookup->hosts = NULL;
	answered = lookup->answered;
	owner = lookup->context;
	lookup_free(lookup);
	mail_hosts_finish(hosts, answer);
	answered(owner, hosts);
}

static void
channel_closed(void *context, struct channel *channel UNUSED, const char *reason)
{
	struct host_lookups *lookups = context;

	log_peer_lost("resolver", reason);
	channel_free(&lookups->channel);
}

static void
channel_ready(void *context, struct channel *channel UNUSED)
{
	ask(context);
}

/* Half an answer of the old resolver is worth nothing: everything is asked anew. */
static void
forget_answers(struct host_lookups *lookups)
{
	struct host_lookup *lookup;

	while ((lookup = TAILQ_LAST(&lookups->asked, lookup_list)) != NULL) {
		mail_hosts_free(&lookup->hosts);
		lookup->hosts = mail_hosts_new();
		lookup->asked = false;
		TAILQ_REMOVE(&lookups->asked, lookup, entries);
		TAILQ_INSERT_HEAD(&lookups->unasked, lookup, entries);
	}
}

void
host_lookups_introduce(struct host_lookups *lookups, int socket, enum ipc_side side)
{
	static const struct dns_handlers handlers = { .mail_host = handle_host, .mail_hosts_answer = handle_answer };
	static const struct channel_events events = { .closed = channel_closed, .ready = channel_ready };

	channel_free(&lookups->channel);
	lookups->channel = channel_open(lookups->base, socket, &dns_protocol, side, &handlers, &events, lookups);
	forget_answers(lookups);
	ask(lookups);
}

struct host_lookup *
host_lookup_start(struct host_lookups *lookups, const char *name, uint16_t port, unsigned flags,
    host_lookup_cb answered, void *context)
{
	struct host_lookup *lookup = memory_new(1, sizeof(*lookup));

	lookup->lookups = lookups;
	lookup->id = ++lookups->next_id;
	lookup->name = memory_copy_string(name);
	lookup->port = port;
	lookup->flags = (uint8_t)flags;
	lookup->hosts = mail_hosts_new();
	lookup->answered = answered;
	lookup->context = context;
	hash_table_insert(&lookups->by_id, &lookup->by_id, hash_number(lookup->id));
	TAILQ_INSERT_TAIL(&lookups->unasked, lookup, entries);
	ask(lookups);
	return lookup;
}

void
host_lookup_cancel(struct host_lookup **lookup)
{
	if (*lookup != NULL)
		lookup_free(*lookup);
	*lookup = NULL;
}

/* ---- reports ---------------------------------------------------------------------------------- */

static struct reported_host *
find_reported(struct host_lookups *lookups, const char *name, uint16_t port)
{
	struct hash_node *node;

	if (lookups->reported.count == 0)
		return NULL;
	for (node = hash_table_find(&lookups->reported, hash_text(name)); node != NULL; node = hash_node_next(node)) {
		struct reported_host *host = HASH_CONTAINER(node, struct reported_host, by_name);

		if (host->port == port && strcmp(host->name, name) == 0)
			return host;
	}
	return NULL;
}

static void
reported_free(struct host_lookups *lookups, struct reported_host *host)
{
	TAILQ_REMOVE(&lookups->reported_list, host, entries);
	hash_table_remove(&lookups->reported, &host->by_name);
	free(host->name);
	free(host);
}

void
host_failed(struct host_lookups *lookups, const char *name, uint16_t port, const char *reason)
{
	struct mail_host_report report = { .port = port, .failed = 1, .name = name };
	struct reported_host *host = find_reported(lookups, name, port);
	char text[501];		/* as much as the field holds */

	if (host == NULL) {
		if (lookups->reported.count >= REPORTED_HOSTS_MAX)
			reported_free(lookups, TAILQ_FIRST(&lookups->reported_list));
		host = memory_new(1, sizeof(*host));
		host->name = memory_copy_string(name);
		host->port = port;
		hash_table_insert(&lookups->reported, &host->by_name, hash_text(name));
		TAILQ_INSERT_TAIL(&lookups->reported_list, host, entries);
	}
	snprintf(text, sizeof(text), "%s", reason);
	report.text = text;
	if (lookups->channel != NULL)
		send_mail_host_report(lookups->channel, &report);
}

void
host_works(struct host_lookups *lookups, const char *name, uint16_t port, bool remembered)
{
	struct mail_host_report report = { .port = port, .name = name, .text = "" };
	struct reported_host *host = find_reported(lookups, name, port);

	if (host == NULL && !remembered)
		return;
	if (host != NULL)
		reported_free(lookups, host);
	if (lookups->channel != NULL)
		send_mail_host_report(lookups->channel, &report);
}

/* ---- */

struct host_lookups *
host_lookups_new(struct event_base *base)
{
	struct host_lookups *lookups = memory_new(1, sizeof(*lookups));

	lookups->base = base;
	TAILQ_INIT(&lookups->asked);
	TAILQ_INIT(&lookups->unasked);
	TAILQ_INIT(&lookups->reported_list);
	return lookups;
}

void
host_lookups_free(struct host_lookups **lookups)
{
	struct host_lookups *gone = *lookups;

	if (gone == NULL)
		return;
	channel_free(&gone->channel);
	while (!TAILQ_EMPTY(&gone->asked))
		lookup_free(TAILQ_FIRST(&gone->asked));
	while (!TAILQ_EMPTY(&gone->unasked))
		lookup_free(TAILQ_FIRST(&gone->unasked));
	while (!TAILQ_EMPTY(&gone->reported_list))
		reported_free(gone, TAILQ_FIRST(&gone->reported_list));
	hash_table_free(&gone->by_id);
	hash_table_free(&gone->reported);
	free(gone);
	*lookups = NULL;
}
