/* rates - see rates.h */
#include "policy/rates.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/attributes.h"
#include "common/base/hash_table.h"
#include "common/base/memory.h"
#include "common/conf/settings.h"

/* Who a count is of. */
enum rate_scope { RATE_OF_CLIENT, RATE_OF_NETWORK, RATE_OF_USER, RATE_SCOPE_COUNT };

#define KEY_MAX (2 + 255)	/* octets: kind, scope, and the user's name */

struct rate_key {
	size_t length;
	unsigned char octets[KEY_MAX];
};

struct record {
	struct hash_node node;
	TAILQ_ENTRY(record) entries;	/* counted in longest ago first */
	int64_t newest;			/* the slot that counts[newest % RATES_SLOTS] is of */
	uint32_t counts[RATES_SLOTS];
	size_t key_length;
	unsigned char key[];
};

struct rate_limit {
	uint32_t limit;			/* 0: none */
	const char *rule;
};

struct rates {
	struct hash_table records;
	TAILQ_HEAD(record_list, record) by_age;
	struct rate_limit limits[RATE_KIND_COUNT][RATE_SCOPE_COUNT];
	int64_t interval_ms;
	unsigned prefix_ipv4, prefix_ipv6;
};

struct rates *
rates_new(void)
{
	struct rates *rates = memory_new(1, sizeof(*rates));

	TAILQ_INIT(&rates->by_age);
	rates->interval_ms = 1;
	return rates;
}

static void
free_record(struct rates *rates, struct record *record)
{
	hash_table_remove(&rates->records, &record->node);
	TAILQ_REMOVE(&rates->by_age, record, entries);
	free(record);
}

static void
forget_everything(struct rates *rates)
{
	struct record *record;

	while ((record = TAILQ_FIRST(&rates->by_age)) != NULL)
		free_record(rates, record);
}

void
rates_free(struct rates **rates)
{
	if (*rates == NULL)
		return;
	forget_everything(*rates);
	hash_table_free(&(*rates)->records);
	free(*rates);
	*rates = NULL;
}

static void
set_limit(struct rates *rates, enum rate_kind kind, enum rate_scope scope, const struct setting *setting, const char *rule)
{
	rates->limits[kind][scope] = (struct rate_limit){ (uint32_t)setting->number, rule };
}

void
rates_configure(struct rates *rates, const struct document_configuration *configuration)
{
	int64_t interval_ms = configuration->rate_interval.number * 1000;
	unsigned prefix_ipv4 = (unsigned)configuration->network_prefix_ipv4.number;
	unsigned prefix_ipv6 = (unsigned)configuration->network_prefix_ipv6.number;

	if (interval_ms != rates->interval_ms || prefix_ipv4 != rates->prefix_ipv4 || prefix_ipv6 != rates->prefix_ipv6)
		forget_everything(rates);
	rates->interval_ms = interval_ms;
	rates->prefix_ipv4 = prefix_ipv4;
	rates->prefix_ipv6 = prefix_ipv6;
#define LIMIT(kind, scope, key) set_limit(rates, kind, scope, &configuration->key, #key)
	LIMIT(RATE_SESSION, RATE_OF_CLIENT, client_session_rate);
	LIMIT(RATE_SESSION, RATE_OF_NETWORK, network_session_rate);
	LIMIT(RATE_MESSAGE, RATE_OF_CLIENT, client_message_rate);
	LIMIT(RATE_MESSAGE, RATE_OF_NETWORK, network_message_rate);
	LIMIT(RATE_MESSAGE, RATE_OF_USER, user_message_rate);
	LIMIT(RATE_RECIPIENT, RATE_OF_CLIENT, client_recipient_rate);
	LIMIT(RATE_RECIPIENT, RATE_OF_NETWORK, network_recipient_rate);
	LIMIT(RATE_RECIPIENT, RATE_OF_USER, user_recipient_rate);
#undef LIMIT
}

size_t
rates_count(const struct rates *rates)
{
	return rates->records.count;
}

/* ---- whose event it is ---- */

/* The first bits of the address; the others 0. */
static void
append_bits(struct rate_key *key, const unsigned char *address, size_t length, unsigned bits)
{
	for (size_t i = 0; i < length; i++) {
		unsigned kept = bits > i * 8 ? bits - (unsigned)i * 8 : 0;

		key->octets[key->length++] = kept >= 8 ? address[i] : (unsigned char)(address[i] & (0xff00u >> kept));
	}
}

static bool
append_address(const struct rates *rates, struct rate_key *key, enum rate_scope scope, const char *text)
{
	unsigned char address[sizeof(struct in6_addr)];

	if (inet_pton(AF_INET, text, address) == 1)
		append_bits(key, address, 4, scope == RATE_OF_NETWORK ? rates->prefix_ipv4 : 32);
	else if (inet_pton(AF_INET6, text, address) == 1)
		append_bits(key, address, 16, scope == RATE_OF_NETWORK ? rates->prefix_ipv6 : 128);
	else
		return false;
	return true;
}

/* What is counted under, for a scope that has a limit and that the event belongs to. */
static bool
make_key(const struct rates *rates, enum rate_kind kind, enum rate_scope scope, const char *client_address, const char *user,
    struct rate_key *key_out)
{
	size_t length;

	if (rates->limits[kind][scope].limit == 0)
		return false;
	*key_out = (struct rate_key){ .length = 2, .octets = { (unsigned char)kind, (unsigned char)scope } };
	if (scope != RATE_OF_USER)
		return append_address(rates, key_out, scope, client_address);
	length = strnlen(user, KEY_MAX - 2);
	memcpy(key_out->octets + key_out->length, user, length);
	key_out->length += length;
	return length > 0;
}

/* ---- counts ---- */

/* Numbers begin with 1, so that a record that is all zero is one of long ago. */
static int64_t
slot_of(const struct rates *rates, int64_t now_ms)
{
	return RATES_SLOTS + now_ms * (RATES_SLOTS - 1) / rates->interval_ms;
}

static struct record *
find(const struct rates *rates, const struct rate_key *key)
{
	struct hash_node *node = hash_table_find(&rates->records, hash_bytes(key->octets, key->length));

	for (; node != NULL; node = hash_node_next(node)) {
		struct record *record = HASH_CONTAINER(node, struct record, node);

		if (record->key_length == key->length && memcmp(record->key, key->octets, key->length) == 0)
			return record;
	}
	return NULL;
}

/* Forgets what has left the window. */
static void
advance(struct record *record, int64_t slot)
{
	if (slot - record->newest >= RATES_SLOTS)
		memset(record->counts, 0, sizeof(record->counts));
	else
		for (int64_t passed = record->newest + 1; passed <= slot; passed++)
			record->counts[passed % RATES_SLOTS] = 0;
	record->newest = slot;
}

static uint64_t
sum(const struct record *record)
{
	uint64_t all = 0;

	for (size_t i = 0; i < RATES_SLOTS; i++)
		all += record->counts[i];
	return all;
}

/* Those that nothing is in any more, a few at a time, and one more when there is no room. */
static void
make_room(struct rates *rates, int64_t slot)
{
	struct record *oldest;

	for (unsigned i = 0; i < 2 && (oldest = TAILQ_FIRST(&rates->by_age)) != NULL &&
	    slot - oldest->newest >= RATES_SLOTS; i++)
		free_record(rates, oldest);
	if (rates->records.count >= RATES_RECORDS)
		free_record(rates, TAILQ_FIRST(&rates->by_age));
}

static void
count(struct rates *rates, const struct rate_key *key, int64_t slot)
{
	struct record *record = find(rates, key);

	if (record == NULL) {
		make_room(rates, slot);
		record = memory_new(1, sizeof(*record) + key->length);
		record->key_length = key->length;
		memcpy(record->key, key->octets, key->length);
		hash_table_insert(&rates->records, &record->node, hash_bytes(key->octets, key->length));
	} else {
		TAILQ_REMOVE(&rates->by_age, record, entries);
	}
	TAILQ_INSERT_TAIL(&rates->by_age, record, entries);
	advance(record, slot);
	record->counts[slot % RATES_SLOTS]++;
}

const char *
rates_judge(struct rates *rates, enum rate_kind kind, const char *client_address, const char *user, bool is_peek,
    int64_t now_ms)
{
	struct rate_key keys[RATE_SCOPE_COUNT];
	bool counts[RATE_SCOPE_COUNT];
	int64_t slot = slot_of(rates, now_ms);

	for (enum rate_scope scope = 0; scope < RATE_SCOPE_COUNT; scope++) {
		const struct rate_limit *limit = &rates->limits[kind][scope];
		struct record *record;

		counts[scope] = make_key(rates, kind, scope, client_address, user, &keys[scope]);
		if (!counts[scope] || (record = find(rates, &keys[scope])) == NULL)
			continue;
		advance(record, slot);
		if (sum(record) >= limit->limit)
			return limit->rule;
	}
	for (enum rate_scope scope = 0; scope < RATE_SCOPE_COUNT && !is_peek; scope++)
		if (counts[scope])
			count(rates, &keys[scope], slot);
	return NULL;
}
