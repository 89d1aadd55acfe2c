/* lookups - see lookups.h */
#include "resolver/lookups.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/clock.h"
#include "common/base/hash_table.h"
#include "common/base/memory.h"
#include "common/log/log.h"

#define PARTS_MAX 2		/* A and AAAA */
#define REVERSE_NAME_SIZE 80
#define HOSTS_ADDRESSES_MAX 32

/* One question of one program. */
struct asker {
	TAILQ_ENTRY(asker) of_lookup;
	TAILQ_ENTRY(asker) of_client;
	struct lookup *lookup;
	struct client *client;
	uint64_t id;
};

struct client {
	TAILQ_ENTRY(client) entries;
	struct lookups *lookups;
	struct channel *channel;
	char *peer;
	TAILQ_HEAD(, asker) askers;
};

/* What several may be asking. */
struct lookup {
	struct hash_node node;		/* while it may be shared: until its deadline */
	struct lookups *lookups;
	enum dns_kind kind;
	char *name;			/* owned, lower case, without a final dot */
	TAILQ_HEAD(, asker) askers;
	struct answer parts[PARTS_MAX];
	bool part_answered[PARTS_MAX];
	unsigned pending;		/* parts without an answer, and one while they are being asked */
	bool expired;			/* answered at its deadline; waits for its parts to be freed */
	struct event timer;
};

/* Tells a part's answer from another's. */
struct part {
	struct lookup *lookup;
	unsigned number;
};

struct lookups {
	struct event_base *base;
	const struct hosts_file *hosts;
	enum lookup_order order;
	int64_t timeout_ms;
	struct dns_context *context;
	bool replacing;			/* the context is going away: what it says now counts as nothing */
	struct hash_table table;
	unsigned expired;
	TAILQ_HEAD(, client) clients;
	uint64_t asked;
	uint64_t without_answer;
};

static void complete(struct lookup *lookup);

/* ---- the memory of look-ups ------------------------------------------------------------------- */

static uint64_t
hash_question(enum dns_kind kind, const char *name)
{
	return hash_text(name) ^ hash_number(kind);
}

static struct lookup *
find_lookup(const struct lookups *lookups, enum dns_kind kind, const char *name)
{
	struct hash_node *node = hash_table_find(&lookups->table, hash_question(kind, name));

	for (; node != NULL; node = hash_node_next(node)) {
		struct lookup *lookup = HASH_CONTAINER(node, struct lookup, node);

		if (lookup->kind == kind && strcmp(lookup->name, name) == 0)
			return lookup;
	}
	return NULL;
}

/* Nobody can join any more. */
static void
close_lookup(struct lookup *lookup)
{
	hash_table_remove(&lookup->lookups->table, &lookup->node);
	event_del(&lookup->timer);
}

static void
lookup_free(struct lookup *lookup)
{
	unsigned i;

	for (i = 0; i < PARTS_MAX; i++)
		answer_free(&lookup->parts[i]);
	free(lookup->name);
	free(lookup);
}

static void
asker_free(struct asker *asker)
{
	TAILQ_REMOVE(&asker->lookup->askers, asker, of_lookup);
	TAILQ_REMOVE(&asker->client->askers, asker, of_client);
	free(asker);
}

/* The look-ups of a client that is gone go on: their answers are in the cache when it asks again. */
static void
client_free(struct client *client)
{
	while (!TAILQ_EMPTY(&client->askers))
		asker_free(TAILQ_FIRST(&client->askers));
	TAILQ_REMOVE(&client->lookups->clients, client, entries);
	channel_free(&client->channel);
	free(client->peer);
	free(client);
}

/* ---- answers ---------------------------------------------------------------------------------- */

static void
send_answers(struct lookup *lookup, struct dns_answer *answer)
{
	struct asker *asker;

	lookup->lookups->without_answer += answer->outcome == DNS_NO_ANSWER;
	while ((asker = TAILQ_FIRST(&lookup->askers)) != NULL) {
		struct client *client = asker->client;

		answer->id = asker->id;
		asker_free(asker);
		if (!send_dns_answer(client->channel, answer)) {
			log_event(LOG_PEER_LOST, client->peer, "an answer cannot be sent");
			client_free(client);
		}
	}
}

static bool
parse_address(const char *text, struct hosts_address *address)
{
	memset(address, 0, sizeof(*address));
	address->length = 4;
	if (inet_pton(AF_INET, text, address->octets) == 1)
		return true;
	address->length = 16;
	return inet_pton(AF_INET6, text, address->octets) == 1;
}

/* What the hosts file says. False when it says nothing. */
static bool
answer_from_hosts(struct lookup *lookup, struct dns_answer *answer, struct buffer *records)
{
	const struct hosts_file *hosts = lookup->lookups->hosts;
	struct hosts_address addresses[HOSTS_ADDRESSES_MAX];
	size_t count = 0, i;

	buffer_clear(records);
	if (lookup->kind == DNS_PTR) {
		const char *name = parse_address(lookup->name, &addresses[0]) ?
		    hosts_file_name(hosts, &addresses[0]) : NULL;

		if (name != NULL && wire_put_string(records, name))
			count = 1;
	} else {
		count = hosts_file_addresses(hosts, lookup->name, addresses, HOSTS_ADDRESSES_MAX);
		for (i = 0; i < count; i++)
			wire_put_bytes(records, addresses[i].octets, addresses[i].length);
	}
	if (count == 0)
		return false;
	answer->outcome = DNS_FOUND;
	answer->security = DNS_INSECURE;
	answer->ttl = 0;
	answer->count = (uint16_t)count;
	answer->records = (struct bytes){ records->data, records->length };
	answer->text = "";
	return true;
}

/* Appends the addresses of both parts in turn, so that neither family hides behind the other. */
static uint16_t
interleave(const struct lookup *lookup, struct buffer *records)
{
	struct wire_reader readers[PARTS_MAX];
	size_t left[PARTS_MAX];
	uint16_t count = 0;
	unsigned i;

	for (i = 0; i < PARTS_MAX; i++) {
		const struct answer *part = &lookup->parts[i];

		wire_reader_init(&readers[i], buffer_text(&part->records), part->records.length);
		left[i] = part->outcome == DNS_FOUND ? part->count : 0;
	}
	for (i = 0; left[0] > 0 || left[1] > 0; i = !i) {
		struct bytes record;

		if (left[i] == 0)
			continue;
		left[i]--;
		record = wire_get_bytes(&readers[i], 16);
		wire_put_bytes(records, record.data, record.length);
		count++;
	}
	return count;
}

/* "No such name" only when every part says so; no answer when any part has none and no other found anything. */
static void
combine(const struct lookup *lookup, unsigned parts, struct dns_answer *answer, struct buffer *records)
{
	bool found = false, no_answer = false, no_data = false, secure = true;
	const char *text = "";
	unsigned i;

	answer->ttl = UINT32_MAX;
	for (i = 0; i < parts; i++) {
		const struct answer *part = &lookup->parts[i];

		found |= part->outcome == DNS_FOUND;
		no_data |= part->outcome == DNS_NO_DATA;
		if (part->outcome == DNS_NO_ANSWER) {
			no_answer = true;
			text = part->text;
			answer->security = part->security == DNS_BOGUS ? DNS_BOGUS : answer->security;
			continue;
		}
		secure &= part->security == DNS_SECURE;
		answer->ttl = part->ttl < answer->ttl ? part->ttl : answer->ttl;
	}
	answer->outcome = found ? DNS_FOUND : no_answer ? DNS_NO_ANSWER : no_data ? DNS_NO_DATA : DNS_NO_NAME;
	if (answer->ttl == UINT32_MAX)
		answer->ttl = 0;
	if (answer->outcome != DNS_NO_ANSWER) {
		answer->security = secure && !no_answer ? DNS_SECURE : DNS_INSECURE;
	} else {
		answer->text = text;
		return;
	}
	if (lookup->kind == DNS_HOST) {
		answer->count = interleave(lookup, records);
	} else {
		answer->count = (uint16_t)lookup->parts[0].count;
		buffer_append(records, buffer_text(&lookup->parts[0].records), lookup->parts[0].records.length);
	}
	answer->records = (struct bytes){ buffer_text(records), records->length };
}

static unsigned
part_count(enum dns_kind kind)
{
	return kind == DNS_HOST ? 2 : 1;
}

/* Answers everyone by what is known now. Parts that are still missing count as no answer. */
static void
answer_askers(struct lookup *lookup)
{
	struct dns_answer answer = { .text = "" };
	struct buffer records = BUFFER_INITIALIZER(IPC_DATA_MAX);
	unsigned i;

	if (lookup->lookups->order == LOOKUP_HOSTS) {
		answer.outcome = DNS_NO_NAME;
	} else {
		for (i = 0; i < part_count(lookup->kind); i++)
			if (!lookup->part_answered[i])
				answer_set_none(&lookup->parts[i], "the name servers give no answer in time");
		combine(lookup, part_count(lookup->kind), &answer, &records);
	}
	if (answer.outcome != DNS_FOUND && lookup->lookups->order != LOOKUP_DNS)
		answer_from_hosts(lookup, &answer, &records);
	send_answers(lookup, &answer);
	buffer_free(&records);
}

static void
complete(struct lookup *lookup)
{
	if (lookup->expired) {
		lookup->lookups->expired--;
	} else {
		answer_askers(lookup);
		close_lookup(lookup);
	}
	lookup_free(lookup);
}

static void
deadline_reached(evutil_socket_t socket UNUSED, short what UNUSED, void *context)
{
	struct lookup *lookup = context;

	answer_askers(lookup);
	close_lookup(lookup);
	if (lookup->pending == 0) {
		lookup_free(lookup);
		return;
	}
	lookup->expired = true;
	lookup->lookups->expired++;
}

/* ---- questions -------------------------------------------------------------------------------- */

static void
part_answered(void *context, const struct answer *answer)
{
	struct part *part = context;
	struct lookup *lookup = part->lookup;
	struct answer *kept = &lookup->parts[part->number];

	if (!lookup->lookups->replacing) {
		struct buffer records = kept->records;

		*kept = *answer;
		kept->records = records;
		buffer_clear(&kept->records);
		buffer_append(&kept->records, buffer_text(&answer->records), answer->records.length);
		lookup->part_answered[part->number] = true;
	}
	free(part);
	if (--lookup->pending > 0)
		return;
	if (!lookup->lookups->replacing || lookup->expired)
		complete(lookup);
}

static void
ask_part(struct lookup *lookup, unsigned number, enum answer_type type, const char *name)
{
	struct part *part = memory_new(1, sizeof(*part));

	part->lookup = lookup;
	part->number = number;
	lookup->part_answered[number] = false;
	lookup->pending++;
	dns_context_ask(lookup->lookups->context, type, name, part_answered, part);
}

/* The name under in-addr.arpa or ip6.arpa. */
static bool
reverse_name(const char *text, char name[static REVERSE_NAME_SIZE])
{
	struct hosts_address address;
	char *next = name;
	int i;

	if (!parse_address(text, &address))
		return false;
	if (address.length == 4) {
		snprintf(name, REVERSE_NAME_SIZE, "%u.%u.%u.%u.in-addr.arpa.", address.octets[3], address.octets[2],
		    address.octets[1], address.octets[0]);
		return true;
	}
	for (i = 15; i >= 0; i--)
		next += sprintf(next, "%x.%x.", address.octets[i] & 15u, address.octets[i] >> 4);
	strcpy(next, "ip6.arpa.");
	return true;
}

/* Asks the DNS. One more than the parts is pending meanwhile: answers may come before this returns. */
static void
ask_dns(struct lookup *lookup)
{
	char name[REVERSE_NAME_SIZE + 256];

	lookup->pending = 1;
	if (lookup->lookups->order == LOOKUP_HOSTS) {
		/* nothing to ask */
	} else if (lookup->kind == DNS_HOST) {
		/* Absolute, whatever its labels: no search list completes it. */
		snprintf(name, sizeof(name), "%s.", lookup->name);
		ask_part(lookup, 0, ANSWER_AAAA, name);
		ask_part(lookup, 1, ANSWER_A, name);
	} else if (reverse_name(lookup->name, name)) {
		ask_part(lookup, 0, ANSWER_PTR, name);
	} else {
		lookup->parts[0].outcome = DNS_NO_NAME;
		lookup->part_answered[0] = true;
	}
	if (--lookup->pending == 0)
		complete(lookup);
}

static struct lookup *
lookup_new(struct lookups *lookups, enum dns_kind kind, const char *name)
{
	struct lookup *lookup = memory_new(1, sizeof(*lookup));
	struct timeval wait = { .tv_sec = lookups->timeout_ms / 1000, .tv_usec = lookups->timeout_ms % 1000 * 1000 };
	unsigned i;

	lookup->lookups = lookups;
	lookup->kind = kind;
	lookup->name = memory_copy_string(name);
	for (i = 0; i < PARTS_MAX; i++)
		answer_init(&lookup->parts[i]);
	TAILQ_INIT(&lookup->askers);
	event_assign(&lookup->timer, lookups->base, -1, 0, deadline_reached, lookup);
	event_add(&lookup->timer, &wait);
	hash_table_insert(&lookups->table, &lookup->node, hash_question(kind, name));
	return lookup;
}

static void
handle_question(void *context, struct channel *channel UNUSED, const struct dns_question *question)
{
	struct client *client = context;
	struct lookups *lookups = client->lookups;
	enum dns_kind kind = question->kind == DNS_HOST ? DNS_HOST : DNS_PTR;
	size_t length = strlen(question->name), i;
	char *name = memory_copy_string(question->name);
	struct asker *asker = memory_new(1, sizeof(*asker));
	struct lookup *lookup;
	bool is_new;

	for (i = 0; i < length; i++)
		name[i] = (char)tolower((unsigned char)name[i]);
	if (length > 1 && name[length - 1] == '.')
		name[length - 1] = '\0';
	lookup = find_lookup(lookups, kind, name);
	is_new = lookup == NULL;
	if (is_new)
		lookup = lookup_new(lookups, kind, name);
	free(name);
	asker->id = question->id;
	asker->client = client;
	asker->lookup = lookup;
	TAILQ_INSERT_TAIL(&lookup->askers, asker, of_lookup);
	TAILQ_INSERT_TAIL(&client->askers, asker, of_client);
	lookups->asked++;
	if (is_new)
		ask_dns(lookup);
}

static void
channel_closed(void *context, struct channel *channel UNUSED, const char *reason)
{
	struct client *client = context;

	log_event(LOG_PEER_LOST, client->peer, reason);
	client_free(client);
}

void
lookups_introduce(struct lookups *lookups, const char *peer, int socket, enum ipc_side side)
{
	static const struct dns_handlers handlers = { .dns_question = handle_question };
	static const struct channel_events events = { .closed = channel_closed };
	struct client *client = memory_new(1, sizeof(*client));

	client->lookups = lookups;
	client->peer = memory_copy_string(peer);
	TAILQ_INIT(&client->askers);
	TAILQ_INSERT_TAIL(&lookups->clients, client, entries);
	client->channel = channel_open(lookups->base, socket, &dns_protocol, side, &handlers, &events, client);
}

/* ---- the context ------------------------------------------------------------------------------ */

static void
drop_context(struct lookups *lookups)
{
	lookups->replacing = true;
	dns_context_free(&lookups->context);
	lookups->replacing = false;
}

int
lookups_configure(struct lookups *lookups, enum lookup_order order, int64_t timeout_ms,
    const struct dns_context_options *options, struct error *error)
{
	struct dns_context *context = dns_context_new(lookups->base, options, error);
	struct hash_node *node, *next;

	if (context == NULL)
		return -1;
	drop_context(lookups);
	lookups->context = context;
	lookups->order = order;
	lookups->timeout_ms = timeout_ms;
	for (node = hash_table_walk(&lookups->table, NULL); node != NULL; node = next) {
		next = hash_table_walk(&lookups->table, node);
		ask_dns(HASH_CONTAINER(node, struct lookup, node));
	}
	return 0;
}

struct lookups *
lookups_new(struct event_base *base, const struct hosts_file *hosts)
{
	struct lookups *lookups = memory_new(1, sizeof(*lookups));

	lookups->base = base;
	lookups->hosts = hosts;
	TAILQ_INIT(&lookups->clients);
	return lookups;
}

void
lookups_free(struct lookups **lookups)
{
	struct lookups *all = *lookups;
	struct hash_node *node;

	if (all == NULL)
		return;
	while (!TAILQ_EMPTY(&all->clients))
		client_free(TAILQ_FIRST(&all->clients));
	drop_context(all);
	while ((node = hash_table_walk(&all->table, NULL)) != NULL) {
		struct lookup *lookup = HASH_CONTAINER(node, struct lookup, node);

		close_lookup(lookup);
		lookup_free(lookup);
	}
	hash_table_free(&all->table);
	free(all);
	*lookups = NULL;
}

void
lookups_status(const struct lookups *lookups, struct buffer *lines)
{
	buffer_printf(lines, "questions=%llu\nin_progress=%zu\nwithout_answer=%llu\n",
	    (unsigned long long)lookups->asked, lookups->table.count + lookups->expired,
	    (unsigned long long)lookups->without_answer);
}
