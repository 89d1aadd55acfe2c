/* client_memory - see client_memory.h */
#include "smtpd/client_memory.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/base/clock.h"
#include "common/base/hash_table.h"
#include "common/base/memory.h"
#include "common/log/log.h"
#include "smtpd/client_dns.h"
#include "smtpd/dns_client.h"
#include "smtpd/rules.h"

/* Whose answer, and to what. Compared and hashed as octets, so it has no gaps. */
struct record_key {
	struct in6_addr address;
	uint64_t zones;			/* of lists: rules->dns_zones_id */
	uint64_t fact;
};

struct client_wait {
	TAILQ_ENTRY(client_wait) entries;
	struct record *record;
	client_memory_done_cb done;
	void *owner;
};

/* One question to the DNS; lists have one for each zone. */
struct zone_query {
	struct record *record;
	struct dns_query *query;	/* NULL when it is answered */
	struct dns_list_answer *answer;	/* where it goes */
	const char *zone;		/* borrowed from the rules */
};

/* What is there only while the DNS is being asked. */
struct asking {
	struct rules *rules;		/* held */
	struct event timer;
	size_t open;			/* queries without an answer */
	int64_t lasts_ms;		/* the shortest of the answers */
	size_t query_count;
	struct zone_query queries[];
};

struct record {
	struct hash_node node;
	TAILQ_ENTRY(record) entries;	/* of the memory's records that nobody waits for */
	struct client_memory *memory;
	struct record_key key;
	struct asking *asking;		/* NULL: it is answered */
	int64_t ends_ms;		/* monotonic: until then the answer counts */
	TAILQ_HEAD(, client_wait) waits;
	bool is_idle;			/* in the memory's list of those */
	bool is_telling;		/* its waits are being told: it must stay */
	struct buffer names;		/* packed, see pack_names() */
	enum host_names_state names_state;
	struct dns_lists *lists;	/* owned or NULL */
};

TAILQ_HEAD(record_list, record);

struct client_memory {
	struct event_base *base;
	struct dns_client *dns;
	struct hash_table records;
	struct record_list idle;	/* nobody waits for them; used last at the end */
};

struct client_memory *
client_memory_new(struct event_base *base, struct dns_client *dns)
{
	struct client_memory *memory = memory_new(1, sizeof(*memory));

	memory->base = base;
	memory->dns = dns;
	TAILQ_INIT(&memory->idle);
	return memory;
}

static void
end_asking(struct record *record)
{
	struct asking *asking = record->asking;

	if (asking == NULL)
		return;
	for (size_t i = 0; i < asking->query_count; i++)
		dns_client_forget(record->memory->dns, &asking->queries[i].query);
	event_del(&asking->timer);
	rules_release(&asking->rules);
	free(asking);
	record->asking = NULL;
}

static void
free_record(struct record *record)
{
	struct client_memory *memory = record->memory;
	struct client_wait *wait;

	end_asking(record);
	if (record->is_idle)
		TAILQ_REMOVE(&memory->idle, record, entries);
	while ((wait = TAILQ_FIRST(&record->waits)) != NULL) {
		TAILQ_REMOVE(&record->waits, wait, entries);
		free(wait);
	}
	hash_table_remove(&memory->records, &record->node);
	buffer_free(&record->names);
	free(record->lists);
	free(record);
}

void
client_memory_free(struct client_memory **memory)
{
	struct hash_node *node;

	if (*memory == NULL)
		return;
	while ((node = hash_table_walk(&(*memory)->records, NULL)) != NULL)
		free_record(HASH_CONTAINER(node, struct record, node));
	hash_table_free(&(*memory)->records);
	free(*memory);
	*memory = NULL;
}

size_t
client_memory_count(const struct client_memory *memory)
{
	return memory->records.count;
}

/* ---- answers ---- */

/* Most clients have one name, and room for eight is a lot of memory for 10,000 of them. */
static void
pack_names(struct record *record, const struct host_names *names)
{
	record->names_state = names->state;
	buffer_clear(&record->names);
	for (size_t i = 0; i < names->count; i++) {
		buffer_append_byte(&record->names, names->names[i].is_confirmed ? 'c' : 'u');
		buffer_append(&record->names, names->names[i].name, strlen(names->names[i].name) + 1);
	}
}

static void
unpack_names(const struct record *record, struct host_names *names_out)
{
	const char *next = buffer_text(&record->names), *end = next + record->names.length;

	names_out->state = record->names_state;
	names_out->count = 0;
	while (next < end) {
		names_out->names[names_out->count].is_confirmed = *next++ == 'c';
		strcpy(names_out->names[names_out->count++].name, next);
		next += strlen(next) + 1;
	}
}

static void
tell(const struct record *record, client_memory_done_cb done, void *owner)
{
	struct fact_answer answer = { .fact = (enum fact)record->key.fact };
	struct host_names names;

	if (answer.fact == FACT_HOST_NAMES) {
		unpack_names(record, &names);
		answer.host_names = &names;
	} else {
		answer.dns_lists = record->lists;
	}
	done(owner, &answer);
}

/* Nobody waits for it any more, or it was used just now. */
static void
make_idle(struct record *record)
{
	if (record->is_telling || !TAILQ_EMPTY(&record->waits))
		return;
	if (record->is_idle)
		TAILQ_REMOVE(&record->memory->idle, record, entries);
	TAILQ_INSERT_TAIL(&record->memory->idle, record, entries);
	record->is_idle = true;
}

/* Everything is answered, or was waited for long enough. */
static void
finish(struct record *record)
{
	struct client_wait *wait;

	record->ends_ms = clock_monotonic_ms() + record->asking->lasts_ms;
	end_asking(record);
	record->is_telling = true;
	while ((wait = TAILQ_FIRST(&record->waits)) != NULL) {
		client_memory_done_cb done = wait->done;
		void *owner = wait->owner;

		TAILQ_REMOVE(&record->waits, wait, entries);
		free(wait);
		tell(record, done, owner);
	}
	record->is_telling = false;
	make_idle(record);
}

/* One question less. */
static void
close_query(struct zone_query *query, int64_t lasts_ms)
{
	struct record *record = query->record;
	struct asking *asking = record->asking;

	query->query = NULL;
	if (lasts_ms < asking->lasts_ms)
		asking->lasts_ms = lasts_ms;
	if (--asking->open == 0)
		finish(record);
}

static void
on_names(void *owner, const struct dns_answer *answer)
{
	struct zone_query *query = owner;
	struct host_names names;

	host_names_of_answer(answer, &names);
	pack_names(query->record, &names);
	close_query(query, client_answer_lifetime_ms(answer));
}

static void
log_silence(const struct zone_query *query)
{
	char client[INET6_ADDRSTRLEN];

	client_key_text(&query->record->key.address, client);
	log_event(LOG_DNS_LIST_SILENT, query->zone, client);
}

static void
on_list(void *owner, const struct dns_answer *answer)
{
	struct zone_query *query = owner;
	char client[INET6_ADDRSTRLEN], address[INET_ADDRSTRLEN];
	struct in_addr ignored;

	if (dns_list_of_answer(answer, query->answer, &ignored)) {
		client_key_text(&query->record->key.address, client);
		inet_ntop(AF_INET, &ignored, address, sizeof(address));
		log_event(LOG_DNS_LIST_IGNORED, query->zone, client, address);
	}
	if (!query->answer->has_answered)
		log_silence(query);
	close_query(query, client_answer_lifetime_ms(answer));
}

/* The lists had dns_list_timeout: those that are silent do not have the client. */
static void
on_timer(evutil_socket_t unused, short what, void *context)
{
	struct record *record = context;
	struct asking *asking = record->asking;

	(void)unused;
	(void)what;
	for (size_t i = 0; i < asking->query_count; i++)
		if (asking->queries[i].query != NULL)
			log_silence(&asking->queries[i]);
	asking->lasts_ms = CLIENT_ANSWER_SILENCE_MS;
	finish(record);
}

/* ---- questions ---- */

static struct asking *
new_asking(struct record *record, struct rules *rules, size_t query_count)
{
	struct asking *asking = memory_new(1, sizeof(*asking) + query_count * sizeof(asking->queries[0]));

	asking->rules = rules_hold(rules);
	asking->lasts_ms = CLIENT_ANSWER_LONGEST_MS;
	asking->query_count = query_count;
	asking->open = query_count;
	evtimer_assign(&asking->timer, record->memory->base, on_timer, record);
	for (size_t i = 0; i < query_count; i++)
		asking->queries[i].record = record;
	return asking;
}

static void
ask_names(struct record *record, struct rules *rules)
{
	char text[INET6_ADDRSTRLEN];

	record->asking = new_asking(record, rules, 1);
	client_key_text(&record->key.address, text);
	record->asking->queries[0].query = dns_client_ask(record->memory->dns, DNS_PTR, text, on_names,
	    &record->asking->queries[0]);
}

/* Asks the zones of one setting, if the filter that uses them is on; their answers stand at answers. */
static void
ask_zones(struct record *record, const struct setting *zones, bool is_on, struct zone_query *queries,
    struct dns_list_answer *answers)
{
	for (size_t i = 0; i < zones->count; i++) {
		char name[DNS_NAME_SIZE];

		queries[i].zone = zones->items[i].text;
		queries[i].answer = &answers[i];
		if (is_on && dns_list_name(&record->key.address, queries[i].zone, name))
			queries[i].query = dns_client_ask(record->memory->dns, DNS_A, name, on_list, &queries[i]);
		else
			record->asking->open--;
	}
}

/* All zones of both lists at once. */
static void
ask_lists(struct record *record, struct rules *rules)
{
	const struct document_configuration *configuration = rules_configuration(rules);
	const struct setting *white = &configuration->dns_whitelist_sites, *black = &configuration->dns_blacklist_sites;
	size_t count = white->count + black->count;
	struct timeval wait = { .tv_sec = (time_t)configuration->dns_list_timeout.number };
	struct asking *asking = new_asking(record, rules, count);

	free(record->lists);
	record->lists = memory_new(1, sizeof(*record->lists) + count * sizeof(record->lists->answers[0]));
	record->lists->count = count;
	record->asking = asking;
	ask_zones(record, white, configuration->dns_whitelist_filters.number, asking->queries, record->lists->answers);
	ask_zones(record, black, configuration->dns_blacklist_filters.number, asking->queries + white->count,
	    record->lists->answers + white->count);
	if (asking->open == 0)
		finish(record);
	else
		evtimer_add(&asking->timer, &wait);
}

static struct record *
find(const struct client_memory *memory, const struct record_key *key, uint64_t hash)
{
	struct hash_node *node = hash_table_find(&memory->records, hash);

	for (; node != NULL; node = hash_node_next(node)) {
		struct record *record = HASH_CONTAINER(node, struct record, node);

		if (memcmp(&record->key, key, sizeof(*key)) == 0)
			return record;
	}
	return NULL;
}

static struct record *
new_record(struct client_memory *memory, const struct record_key *key, uint64_t hash)
{
	struct record *record = memory_new(1, sizeof(*record)), *oldest = TAILQ_FIRST(&memory->idle);

	if (memory->records.count >= CLIENT_MEMORY_RECORDS && oldest != NULL)
		free_record(oldest);
	record->memory = memory;
	record->key = *key;
	TAILQ_INIT(&record->waits);
	buffer_init(&record->names, 0);
	hash_table_insert(&memory->records, &record->node, hash);
	return record;
}

static struct client_wait *
add_wait(struct record *record, client_memory_done_cb done, void *owner)
{
	struct client_wait *wait = memory_new(1, sizeof(*wait));

	wait->record = record;
	wait->done = done;
	wait->owner = owner;
	if (record->is_idle)
		TAILQ_REMOVE(&record->memory->idle, record, entries);
	record->is_idle = false;
	TAILQ_INSERT_TAIL(&record->waits, wait, entries);
	return wait;
}

struct client_wait *
client_memory_ask(struct client_memory *memory, enum fact fact, struct rules *rules, const struct sockaddr *address,
    client_memory_done_cb done, void *owner)
{
	struct record_key key = { client_key(address), fact == FACT_DNS_LISTS ? rules->dns_zones_id : 0, fact };
	uint64_t hash = hash_bytes(&key, sizeof(key));
	struct record *record = find(memory, &key, hash);

	if (record == NULL)
		record = new_record(memory, &key, hash);
	if (record->asking == NULL && record->ends_ms <= clock_monotonic_ms()) {
		if (fact == FACT_DNS_LISTS)
			ask_lists(record, rules);
		else
			ask_names(record, rules);
	}
	if (record->asking != NULL)
		return add_wait(record, done, owner);
	make_idle(record);
	tell(record, done, owner);
	return NULL;
}

void
client_memory_forget(struct client_wait **wait)
{
	struct record *record;

	if (*wait == NULL)
		return;
	record = (*wait)->record;
	TAILQ_REMOVE(&record->waits, *wait, entries);
	free(*wait);
	*wait = NULL;
	make_idle(record);
}
