/* mx_list - see mx_list.h */
#include "resolver/mx_list.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/hash_table.h"
#include "common/base/memory.h"

#define LABEL_MAX 63
#define NAME_MAX_OCTETS 253

/* One record. */
struct exchange {
	struct hash_node node;
	uint16_t preference;
	uint32_t rank;		/* among equals */
	const char *name;	/* borrowed from the answer */
};

/* ---- names ------------------------------------------------------------------------------------ */

static bool
is_this_host_alone(const char *name)
{
	size_t length = strlen(name), tail = strlen(".localhost");

	return strcasecmp(name, "localhost") == 0 || strcasecmp(name, "localhost.localdomain") == 0 ||
	    (length > tail && strcasecmp(name + length - tail, ".localhost") == 0);
}

bool
mx_name_is_host(const char *name)
{
	static const char octets[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	const char *label = name;
	bool is_number = false;

	if (strlen(name) > NAME_MAX_OCTETS || is_this_host_alone(name))
		return false;
	for (;;) {
		size_t length = strspn(label, octets);

		if (length == 0 || length > LABEL_MAX || label[0] == '-' || label[length - 1] == '-')
			return false;
		is_number = strspn(label, "0123456789") == length;
		if (label[length] == '\0')
			return !is_number;	/* one that ends in a number is an address */
		if (label[length] != '.')
			return false;
		label += length + 1;
	}
}

/* ---- choosing --------------------------------------------------------------------------------- */

static int
by_preference(const void *a, const void *b)
{
	const struct exchange *one = a, *other = b;

	if (one->preference != other->preference)
		return one->preference < other->preference ? -1 : 1;
	return (one->rank > other->rank) - (one->rank < other->rank);
}

/* Ranks are a random order of all (Fisher and Yates), so no two are the same. */
static void
give_ranks(struct exchange *exchanges, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		size_t other = arc4random_uniform((uint32_t)i + 1);

		exchanges[i].rank = exchanges[other].rank;
		exchanges[other].rank = (uint32_t)i;
	}
}

static uint64_t
hash_name(const char *name)
{
	char key[ANSWER_NAME_MAX + 1];
	size_t i;

	for (i = 0; name[i] != '\0' && i < ANSWER_NAME_MAX; i++)
		key[i] = (char)tolower((unsigned char)name[i]);
	return hash_bytes(key, i);
}

/* Whether table, which then holds it, had that name already. */
static bool
is_repeated(struct hash_table *table, struct exchange *exchange)
{
	uint64_t hash = hash_name(exchange->name);
	const struct hash_node *node;

	for (node = hash_table_find(table, hash); node != NULL; node = hash_node_next(node))
		if (strcasecmp(HASH_CONTAINER(node, const struct exchange, node)->name, exchange->name) == 0)
			return true;
	hash_table_insert(table, &exchange->node, hash);
	return false;
}

static struct mx_host *
add_host(struct mx_list *list, uint16_t preference, const char *name)
{
	struct mx_host *host = &list->hosts[list->count++];
	size_t i;

	host->preference = preference;
	buffer_init(&host->addresses, 0);
	for (i = 0; name[i] != '\0' && i < ANSWER_NAME_MAX; i++)
		host->name[i] = (char)tolower((unsigned char)name[i]);
	return host;
}

static void
judge_name(struct mx_host *host, const char *our_name)
{
	if (our_name[0] != '\0' && strcasecmp(host->name, our_name) == 0) {
		host->state = MAIL_HOST_OURS;
		host->known = true;
		snprintf(host->text, sizeof(host->text), "it is this server's own name");
	} else if (!mx_name_is_host(host->name)) {
		host->state = MAIL_HOST_NO_ADDRESS;
		host->known = true;
		snprintf(host->text, sizeof(host->text), "it is not the name of a host");
	}
}

static size_t
read_exchanges(const struct dns_answer *answer, struct exchange *exchanges)
{
	struct wire_reader reader;
	size_t count;

	wire_reader_init(&reader, answer->records.data, answer->records.length);
	for (count = 0; count < answer->count; count++) {
		exchanges[count].preference = wire_get_u16(&reader);
		exchanges[count].name = wire_get_string(&reader, ANSWER_NAME_MAX);
	}
	return count;
}

void
mx_list_read(struct mx_list *list, const struct dns_answer *answer, const char *our_name)
{
	struct exchange *exchanges = memory_new((size_t)answer->count + 1, sizeof(*exchanges));
	struct hash_table names = HASH_TABLE_INITIALIZER;
	size_t count = read_exchanges(answer, exchanges), i;

	memset(list, 0, sizeof(*list));
	list->hosts = memory_new(count < MX_HOSTS_MAX ? count + 1 : MX_HOSTS_MAX, sizeof(*list->hosts));
	list->refuses_mail = count > 0;
	give_ranks(exchanges, count);
	qsort(exchanges, count, sizeof(*exchanges), by_preference);
	for (i = 0; i < count; i++) {
		list->refuses_mail &= exchanges[i].name[0] == '\0' || is_this_host_alone(exchanges[i].name);
		if (list->count < MX_HOSTS_MAX && !is_repeated(&names, &exchanges[i]))
			judge_name(add_host(list, exchanges[i].preference, exchanges[i].name), our_name);
	}
	hash_table_free(&names);
	free(exchanges);
	mx_list_cut(list);
}

void
mx_list_set_implicit(struct mx_list *list, const char *name)
{
	memset(list, 0, sizeof(*list));
	list->hosts = memory_new(1, sizeof(*list->hosts));
	add_host(list, 0, name);
}

void
mx_list_free(struct mx_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		buffer_free(&list->hosts[i].addresses);
	free(list->hosts);
	memset(list, 0, sizeof(*list));
}

/* ---- judging ---------------------------------------------------------------------------------- */

void
mx_list_cut(struct mx_list *list)
{
	unsigned ours = UINT16_MAX + 1;
	size_t i;

	for (i = 0; i < list->count; i++)
		if (list->hosts[i].state == MAIL_HOST_OURS && list->hosts[i].preference < ours)
			ours = list->hosts[i].preference;
	for (i = 0; i < list->count; i++) {
		struct mx_host *host = &list->hosts[i];

		if (host->state == MAIL_HOST_OURS || host->preference < ours)
			continue;
		host->state = MAIL_HOST_BEHIND_OURS;
		host->known = true;
		snprintf(host->text, sizeof(host->text), "this server itself is preferred over it, or its equal");
	}
}

/* The first host of that state, which then is the reason, or NULL. */
static const struct mx_host *
first_of_state(const struct mx_list *list, enum mail_host_state state)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		if (list->hosts[i].state == state)
			return &list->hosts[i];
	return NULL;
}

static uint32_t
least_failed_seconds(const struct mx_list *list)
{
	uint32_t least = UINT32_MAX;
	size_t i;

	for (i = 0; i < list->count; i++)
		if (list->hosts[i].state == MAIL_HOST_FAILED && list->hosts[i].failed_seconds < least)
			least = list->hosts[i].failed_seconds;
	return least;
}

enum mail_hosts_outcome
mx_list_outcome(const struct mx_list *list, uint32_t *retry_seconds_out, const char **text_out)
{
	static const struct { enum mail_host_state state; enum mail_hosts_outcome outcome; } worst_last[] = {
		{ MAIL_HOST_USABLE, MAIL_HOSTS_FOUND },
		{ MAIL_HOST_NO_ANSWER, MAIL_HOSTS_NO_ANSWER },
		{ MAIL_HOST_FAILED, MAIL_HOSTS_ALL_FAILED },
		{ MAIL_HOST_OURS, MAIL_HOSTS_LOOP },
		{ MAIL_HOST_NO_ADDRESS, MAIL_HOSTS_NO_ADDRESS },
	};
	size_t i;

	*retry_seconds_out = 0;
	*text_out = "";
	if (list->refuses_mail) {
		*text_out = "its MX record says that it takes no mail";
		return MAIL_HOSTS_NULL_MX;
	}
	for (i = 0; i < ARRAY_COUNT(worst_last); i++) {
		const struct mx_host *host = first_of_state(list, worst_last[i].state);

		if (host == NULL)
			continue;
		*text_out = host->text;
		if (host->state == MAIL_HOST_FAILED)
			*retry_seconds_out = least_failed_seconds(list);
		return worst_last[i].outcome;
	}
	return MAIL_HOSTS_NO_ADDRESS;
}
