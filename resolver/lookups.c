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

#define PARTS_MAX 2		/* A and AAAA */
#define REVERSE_NAME_SIZE 80
#define HOSTS_ADDRESSES_MAX 32
#define WAITING_FACTOR 16	/* so many times those that ask may exist */

/* One who asks. */
struct asker {
	TAILQ_ENTRY(asker) entries;
	struct lookup *lookup;
	lookup_cb answered;
	void *context;
};

/* A name of an address; does it lead back? */
struct pointer {
	struct lookup *lookup;
	struct asker *asker;		/* NULL: answered */
	char *name;
	bool confirmed;
};

enum lookup_state {
	LOOKUP_WAITING,		/* for others to end */
	LOOKUP_ASKING,
	LOOKUP_CONFIRMING,	/* others are asked whether the names lead back */
	LOOKUP_EXPIRED,		/* answered at its deadline; waits for its parts to be freed */
};

/* What several may be asking. */
struct lookup {
	struct hash_node node;		/* while it may be shared: until it is answered */
	TAILQ_ENTRY(lookup) waiting;
	struct lookups *lookups;
	unsigned kind;			/* enum dns_kind or LOOKUP_HOSTS_FILE */
	char *name;			/* owned, lower case, without a final dot */
	TAILQ_HEAD(, asker) askers;
	enum lookup_state state;
	struct answer parts[PARTS_MAX];
	bool part_answered[PARTS_MAX];
	unsigned pending;		/* parts without an answer, and one while they are being asked */
	struct pointer *pointers;	/* of DNS_PTR, once they are known */
	unsigned pointer_count;
	unsigned unconfirmed;		/* those still being looked up */
	deadline_t deadline;
	struct event timer;		/* the deadline, or made active: everything is known */
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
	unsigned asking_max;
	struct dns_context *context;
	bool replacing;			/* the context is going away: what it says now counts as nothing */
	struct hash_table table;
	TAILQ_HEAD(, lookup) waiting;
	unsigned asking;		/* and expired */
	unsigned expired;
	struct event room;		/* active: somebody who waits may ask */
	uint64_t asked;
	uint64_t without_answer;
};

static void pointer_answered(void *context, const struct dns_answer *answer);

/* ---- the memory of look-ups ------------------------------------------------------------------- */

static uint64_t
hash_question(unsigned kind, const char *name)
{
	return hash_text(name) ^ hash_number(kind);
}

static struct lookup *
find_lookup(const struct lookups *lookups, unsigned kind, const char *name)
{
	struct hash_node *node = hash_table_find(&lookups->table, hash_question(kind, name));

	for (; node != NULL; node = hash_node_next(node)) {
		struct lookup *lookup = HASH_CONTAINER(node, struct lookup, node);

		if (lookup->kind == kind && strcmp(lookup->name, name) == 0)
			return lookup;
	}
	return NULL;
}

static void
free_pointers(struct lookup *lookup)
{
	unsigned i;

	for (i = 0; i < lookup->pointer_count; i++) {
		lookups_forget(&lookup->pointers[i].asker);
		free(lookup->pointers[i].name);
	}
	free(lookup->pointers);
	lookup->pointers = NULL;
	lookup->pointer_count = 0;
}

/* Nobody can join any more. */
static void
close_lookup(struct lookup *lookup)
{
	hash_table_remove(&lookup->lookups->table, &lookup->node);
	event_del(&lookup->timer);
	if (lookup->state == LOOKUP_WAITING)
		TAILQ_REMOVE(&lookup->lookups->waiting, lookup, waiting);
	free_pointers(lookup);
}

static void
make_room(struct lookups *lookups)
{
	lookups->asking--;
	event_active(&lookups->room, EV_TIMEOUT, 1);
}

static void
lookup_free(struct lookup *lookup)
{
	struct lookups *lookups = lookup->lookups;
	unsigned i;

	if (lookup->state == LOOKUP_EXPIRED)
		lookups->expired--;
	if (lookup->state == LOOKUP_ASKING || lookup->state == LOOKUP_EXPIRED)
		make_room(lookups);
	for (i = 0; i < PARTS_MAX; i++)
		answer_free(&lookup->parts[i]);
	free(lookup->name);
	free(lookup);
}

static struct lookup *
lookup_new(struct lookups *lookups, unsigned kind, const char *name)
{
	struct lookup *lookup = memory_new(1, sizeof(*lookup));
	unsigned i;

	lookup->lookups = lookups;
	lookup->kind = kind;
	lookup->name = memory_copy_string(name);
	lookup->state = LOOKUP_WAITING;
	for (i = 0; i < PARTS_MAX; i++)
		answer_init(&lookup->parts[i]);
	TAILQ_INIT(&lookup->askers);
	TAILQ_INSERT_TAIL(&lookups->waiting, lookup, waiting);
	hash_table_insert(&lookups->table, &lookup->node, hash_question(kind, name));
	return lookup;
}

/* ---- answers ---------------------------------------------------------------------------------- */

static void
send_answers(struct lookup *lookup, struct dns_answer *answer)
{
	struct asker *asker;

	lookup->lookups->without_answer += answer->outcome == DNS_NO_ANSWER;
	while ((asker = TAILQ_FIRST(&lookup->askers)) != NULL) {
		lookup_cb answered = asker->answered;
		void *context = asker->context;

		TAILQ_REMOVE(&lookup->askers, asker, entries);
		free(asker);
		answered(context, answer);
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

/* The address' name, which leads back because it stands in the same line. */
static uint16_t
hosts_pointer(const struct lookup *lookup, struct buffer *records)
{
	struct hosts_address address;
	const char *name = parse_address(lookup->name, &address) ?
	    hosts_file_name(lookup->lookups->hosts, &address) : NULL;

	return name != NULL && wire_put_string(records, name) && wire_put_u8(records, 1) ? 1 : 0;
}

static uint16_t
hosts_addresses(const struct lookup *lookup, struct buffer *records)
{
	size_t only = lookup->kind == DNS_A ? 4 : lookup->kind == DNS_AAAA ? 16 : 0;
	struct hosts_address addresses[HOSTS_ADDRESSES_MAX];
	size_t count = hosts_file_addresses(lookup->lookups->hosts, lookup->name, addresses, HOSTS_ADDRESSES_MAX), i;
	uint16_t put = 0;

	for (i = 0; i < count; i++)
		if ((only == 0 || addresses[i].length == only) &&
		    wire_put_bytes(records, addresses[i].octets, addresses[i].length))
			put++;
	return put;
}

/* What the hosts file says, which knows only hosts. False when it says nothing. */
static bool
answer_from_hosts(const struct lookup *lookup, struct dns_answer *answer, struct buffer *records)
{
	uint16_t count = 0;

	buffer_clear(records);
	if (lookup->kind == DNS_PTR)
		count = hosts_pointer(lookup, records);
	else if (lookup->kind == DNS_HOST || lookup->kind == DNS_A || lookup->kind == DNS_AAAA ||
	    lookup->kind == LOOKUP_HOSTS_FILE)
		count = hosts_addresses(lookup, records);
	if (count == 0)
		return false;
	*answer = (struct dns_answer){ .outcome = DNS_FOUND, .security = DNS_INSECURE, .count = count,
		.records = { records->data, records->length }, .text = "" };
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

static uint16_t
put_pointers(const struct lookup *lookup, struct buffer *records)
{
	unsigned i;

	for (i = 0; i < lookup->pointer_count; i++) {
		wire_put_string(records, lookup->pointers[i].name);
		wire_put_u8(records, lookup->pointers[i].confirmed);
	}
	return (uint16_t)lookup->pointer_count;
}

static void
put_records(const struct lookup *lookup, struct dns_answer *answer, struct buffer *records)
{
	if (lookup->kind == DNS_HOST) {
		answer->count = interleave(lookup, records);
	} else if (lookup->kind == DNS_PTR) {
		answer->count = put_pointers(lookup, records);
	} else {
		answer->count = (uint16_t)lookup->parts[0].count;
		buffer_append(records, buffer_text(&lookup->parts[0].records), lookup->parts[0].records.length);
	}
	answer->records = (struct bytes){ buffer_text(records), records->length };
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
	if (answer->outcome == DNS_NO_ANSWER) {
		answer->text = text;
		return;
	}
	answer->security = secure && !no_answer ? DNS_SECURE : DNS_INSECURE;
	put_records(lookup, answer, records);
}

static unsigned
part_count(unsigned kind)
{
	return kind == DNS_HOST ? 2 : 1;
}

static bool
asks_dns(const struct lookup *lookup)
{
	return lookup->kind != LOOKUP_HOSTS_FILE && lookup->lookups->order != LOOKUP_HOSTS;
}

/* Answers everyone by what is known now. Parts that are still missing count as no answer. */
static void
answer_askers(struct lookup *lookup)
{
	struct dns_answer answer = { .outcome = DNS_NO_NAME, .text = "" };
	struct buffer records = BUFFER_INITIALIZER(ANSWER_OCTETS_MAX);
	unsigned i;

	if (asks_dns(lookup)) {
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

/* ---- names of addresses ----------------------------------------------------------------------- */

/* Takes the names out of the answer. False when there are none, or they were taken before. */
static bool
learn_pointers(struct lookup *lookup)
{
	const struct answer *names = &lookup->parts[0];
	struct wire_reader reader;
	unsigned i;

	if (lookup->kind != DNS_PTR || lookup->pointers != NULL || !lookup->part_answered[0] ||
	    names->outcome != DNS_FOUND)
		return false;
	lookup->pointer_count = names->count < LOOKUP_POINTERS_MAX ? (unsigned)names->count : LOOKUP_POINTERS_MAX;
	lookup->pointers = memory_new(lookup->pointer_count, sizeof(*lookup->pointers));
	wire_reader_init(&reader, buffer_text(&names->records), names->records.length);
	for (i = 0; i < lookup->pointer_count; i++) {
		lookup->pointers[i].lookup = lookup;
		lookup->pointers[i].name = memory_copy_string(wire_get_string(&reader, ANSWER_NAME_MAX));
	}
	return true;
}

static void
confirm_pointers(struct lookup *lookup)
{
	unsigned i;

	lookup->state = LOOKUP_CONFIRMING;
	make_room(lookup->lookups);
	lookup->unconfirmed = lookup->pointer_count;
	for (i = 0; i < lookup->pointer_count; i++) {
		struct pointer *pointer = &lookup->pointers[i];

		pointer->asker = lookups_ask(lookup->lookups, DNS_HOST, pointer->name, pointer_answered, pointer);
	}
}

static void
pointer_answered(void *context, const struct dns_answer *answer)
{
	struct pointer *pointer = context;
	struct lookup *lookup = pointer->lookup;
	struct hosts_address address;
	struct wire_reader reader;
	unsigned i;

	pointer->asker = NULL;
	parse_address(lookup->name, &address);
	wire_reader_init(&reader, answer->records.data, answer->records.length);
	for (i = 0; i < answer->count; i++) {
		struct bytes octets = wire_get_bytes(&reader, sizeof(address.octets));

		if (octets.length == address.length && memcmp(octets.data, address.octets, octets.length) == 0)
			pointer->confirmed = true;
	}
	if (--lookup->unconfirmed == 0)
		event_active(&lookup->timer, EV_TIMEOUT, 1);
}

static void
start_timer(struct lookup *lookup)
{
	struct timeval left = deadline_timeval(lookup->deadline);

	event_add(&lookup->timer, &left);
}

/* Everything is known, or the deadline is here. */
static void
timer_fired(evutil_socket_t socket UNUSED, short what UNUSED, void *context)
{
	struct lookup *lookup = context;

	if (learn_pointers(lookup) && !deadline_passed(lookup->deadline)) {
		confirm_pointers(lookup);
		start_timer(lookup);
		return;
	}
	answer_askers(lookup);
	close_lookup(lookup);
	if (lookup->pending == 0) {
		lookup_free(lookup);
		return;
	}
	lookup->state = LOOKUP_EXPIRED;
	lookup->lookups->expired++;
}

/* ---- asking the DNS --------------------------------------------------------------------------- */

/* Called by libunbound, so whoever hears of it hears in another turn of the event loop. */
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
	if (lookup->state == LOOKUP_EXPIRED)
		lookup_free(lookup);
	else if (!lookup->lookups->replacing)
		event_active(&lookup->timer, EV_TIMEOUT, 1);
}

static void
ask_part(struct lookup *lookup, unsigned number, enum dns_kind kind, const char *name)
{
	struct part *part = memory_new(1, sizeof(*part));

	part->lookup = lookup;
	part->number = number;
	lookup->part_answered[number] = false;
	lookup->pending++;
	dns_context_ask(lookup->lookups->context, kind, name, part_answered, part);
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

/* Asks all parts. One more is pending meanwhile: answers may come before this returns. */
static void
ask_dns(struct lookup *lookup)
{
	char name[REVERSE_NAME_SIZE + 256];

	lookup->pending = 1;
	/* Absolute, whatever its labels: no search list completes it. */
	snprintf(name, sizeof(name), "%s.", lookup->name);
	if (!asks_dns(lookup)) {
		/* nothing to ask */
	} else if (lookup->kind == DNS_HOST) {
		ask_part(lookup, 0, DNS_AAAA, name);
		ask_part(lookup, 1, DNS_A, name);
	} else if (lookup->kind != DNS_PTR || reverse_name(lookup->name, name)) {
		ask_part(lookup, 0, (enum dns_kind)lookup->kind, name);
	} else {
		lookup->parts[0].outcome = DNS_NO_NAME;
		lookup->part_answered[0] = true;
	}
	if (--lookup->pending == 0)
		event_active(&lookup->timer, EV_TIMEOUT, 1);
}

static void
start_waiting(struct lookups *lookups)
{
	struct lookup *lookup;

	while (lookups->asking < lookups->asking_max && (lookup = TAILQ_FIRST(&lookups->waiting)) != NULL) {
		TAILQ_REMOVE(&lookups->waiting, lookup, waiting);
		lookup->state = LOOKUP_ASKING;
		lookups->asking++;
		ask_dns(lookup);
	}
}

static void
room_appeared(evutil_socket_t socket UNUSED, short what UNUSED, void *context)
{
	start_waiting(context);
}

/* ---- questions -------------------------------------------------------------------------------- */

static struct lookup *
begin_lookup(struct lookups *lookups, unsigned kind, const char *name)
{
	bool too_many = lookups->table.count >= (size_t)lookups->asking_max * WAITING_FACTOR;
	struct lookup *lookup = lookup_new(lookups, kind, name);

	lookup->deadline = deadline_after_ms(too_many ? 0 : lookups->timeout_ms);
	event_assign(&lookup->timer, lookups->base, -1, 0, timer_fired, lookup);
	start_timer(lookup);
	event_active(&lookups->room, EV_TIMEOUT, 1);
	return lookup;
}

struct asker *
lookups_ask(struct lookups *lookups, unsigned kind, const char *name, lookup_cb answered, void *context)
{
	struct asker *asker = memory_new(1, sizeof(*asker));
	char *key = memory_copy_string(name);
	size_t length = strlen(key), i;

	for (i = 0; i < length; i++)
		key[i] = (char)tolower((unsigned char)key[i]);
	if (length > 1 && key[length - 1] == '.')
		key[length - 1] = '\0';
	asker->answered = answered;
	asker->context = context;
	asker->lookup = find_lookup(lookups, kind, key);
	if (asker->lookup == NULL)
		asker->lookup = begin_lookup(lookups, kind, key);
	TAILQ_INSERT_TAIL(&asker->lookup->askers, asker, entries);
	lookups->asked++;
	free(key);
	return asker;
}

/* The look-up goes on: its answer is in the cache when somebody asks again. */
void
lookups_forget(struct asker **asker)
{
	if (*asker == NULL)
		return;
	TAILQ_REMOVE(&(*asker)->lookup->askers, *asker, entries);
	free(*asker);
	*asker = NULL;
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
lookups_configure(struct lookups *lookups, const struct hosts_file *hosts, enum lookup_order order, int64_t timeout_ms,
    const struct dns_context_options *options, struct error *error)
{
	struct dns_context *context = dns_context_new(lookups->base, options, error);
	struct hash_node *node, *next;

	if (context == NULL)
		return -1;
	drop_context(lookups);
	lookups->context = context;
	lookups->hosts = hosts;
	lookups->order = order;
	lookups->timeout_ms = timeout_ms;
	lookups->asking_max = options->questions;
	for (node = hash_table_walk(&lookups->table, NULL); node != NULL; node = next) {
		struct lookup *lookup = HASH_CONTAINER(node, struct lookup, node);

		next = hash_table_walk(&lookups->table, node);
		if (lookup->state != LOOKUP_ASKING)
			continue;
		/* Its answer may be on its way to those who ask: a question of before is asked again whole. */
		event_del(&lookup->timer);
		start_timer(lookup);
		ask_dns(lookup);
	}
	start_waiting(lookups);
	return 0;
}

struct lookups *
lookups_new(struct event_base *base)
{
	struct lookups *lookups = memory_new(1, sizeof(*lookups));

	lookups->base = base;
	TAILQ_INIT(&lookups->waiting);
	event_assign(&lookups->room, base, -1, 0, room_appeared, lookups);
	return lookups;
}

void
lookups_free(struct lookups **lookups)
{
	struct lookups *all = *lookups;
	struct hash_node *node;

	if (all == NULL)
		return;
	drop_context(all);
	/* Look-ups that ask others let go of them first. */
	for (node = hash_table_walk(&all->table, NULL); node != NULL; node = hash_table_walk(&all->table, node))
		free_pointers(HASH_CONTAINER(node, struct lookup, node));
	while ((node = hash_table_walk(&all->table, NULL)) != NULL) {
		struct lookup *lookup = HASH_CONTAINER(node, struct lookup, node);

		close_lookup(lookup);
		lookup_free(lookup);
	}
	event_del(&all->room);
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
