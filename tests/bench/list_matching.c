/*
 * list_matching - what a client costs in lists of 50, 5,000 and 50,000 entries (make bench-lists)
 *
 * For each kind of list: the time of one look-up, over names and addresses of which a part is on the list, and the
 * time in which the list is made ready (once for each reload, in each process). Beside it the walk over all
 * entries that the lists are made to avoid.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/base/memory.h"
#include "common/conf/address_list.h"
#include "common/conf/destination_list.h"
#include "common/conf/host_list.h"

#define QUESTIONS 1024
#define LOOK_UPS 400000

struct question {
	char name[128];
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;
	struct address address;
};

static struct question questions[QUESTIONS];
static volatile size_t found;	/* so that nothing is optimised away */

static unsigned
next_random(unsigned limit)
{
	static uint64_t state = 11;

	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state >> 33) % limit;
}

static double
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* ---- what is on the lists, by number; every other question asks for one of the first 50 ---- */

static void
make_name(unsigned number, char *text)
{
	sprintf(text, "mail%u.customer%u.provider%u.example", number % 7, number, number % 100);
}

static void
make_name_entry(unsigned number, char *text)
{
	sprintf(text, "customer%u.provider%u.example", number, number % 100);
}

static void
make_address_entry(unsigned number, char *text)
{
	sprintf(text, "[10.%u.%u.%u]", number / 62500, number / 250 % 250, number % 250 + 1);
}

static void
make_network_entry(unsigned number, char *text)
{
	sprintf(text, "[10.%u.%u.%u/%u]", number / 62500, number / 250 % 250, number % 250 + 1, 20 + number % 13);
}

static void
make_range_entry(unsigned number, char *text)
{
	sprintf(text, "[10.%u.%u.%u-%u]", number / 62500, number / 250 % 250, number % 200 + 1, number % 200 + 40);
}

static void
make_ipv6_entry(unsigned number, char *text)
{
	sprintf(text, "[2001:db8:%x:%x::/%u]", number / 65536, number % 65536, 48 + 8 * (number % 3));
}

static void
make_sender_entry(unsigned number, char *text)
{
	sprintf(text, number % 2 == 0 ? "user%u@customer%u.example" : "domain%u.customer%u.example", number, number);
}

static void
make_questions(void)
{
	for (size_t i = 0; i < QUESTIONS; i++) {
		struct question *question = &questions[i];
		unsigned number = i % 2 == 0 ? next_random(50) : 100000 + next_random(50000);
		char text[128];

		make_name(number, question->name);
		make_address_entry(number, text);
		text[strlen(text) - 1] = '\0';
		question->ipv4.sin_family = AF_INET;
		inet_pton(AF_INET, text + 1, &question->ipv4.sin_addr);
		sprintf(text, "2001:db8:%x:%x::25", number / 65536, number % 65536);
		question->ipv6.sin6_family = AF_INET6;
		inet_pton(AF_INET6, text, &question->ipv6.sin6_addr);
		sprintf(text, "user%u@customer%u.example", number, number);
		address_parse(text, strlen(text), 0, &question->address, NULL);
	}
}

/* ---- the lists ---- */

static void *
make_hosts(const struct setting *setting)
{
	return host_list_new(setting, NULL, false);
}

static void
free_hosts(void *list)
{
	host_list_free((struct host_list **)&list);
}

static const void *
ask_name(const void *list, const struct question *question)
{
	return host_list_find_name(list, question->name);
}

static const void *
ask_ipv4(const void *list, const struct question *question)
{
	return host_list_find_address(list, (const struct sockaddr *)&question->ipv4);
}

static const void *
ask_ipv6(const void *list, const struct question *question)
{
	return host_list_find_address(list, (const struct sockaddr *)&question->ipv6);
}

static void *
make_destinations(const struct setting *setting)
{
	return destination_list_new(setting, NULL, false);
}

static void
free_destinations(void *list)
{
	destination_list_free((struct destination_list **)&list);
}

static const void *
ask_destination(const void *list, const struct question *question)
{
	return destination_list_find(list, question->name);
}

static void *
make_addresses(const struct setting *setting)
{
	return address_list_new(setting);
}

static void
free_addresses(void *list)
{
	address_list_free((struct address_list **)&list);
}

static const void *
ask_address(const void *list, const struct question *question)
{
	return address_list_find(list, &question->address);
}

/* The walk: each entry's tail is compared with the name. */
static void *
make_walk(const struct setting *setting)
{
	return (void *)(uintptr_t)setting;
}

static void
free_walk(void *list)
{
	(void)list;
}

static const void *
ask_walk(const void *list, const struct question *question)
{
	const struct setting *setting = list;
	size_t length = strlen(question->name);

	for (size_t i = 0; i < setting->count; i++) {
		size_t tail = strlen(setting->items[i].text);

		if (tail <= length && strcasecmp(question->name + length - tail, setting->items[i].text) == 0)
			return &setting->items[i];
	}
	return NULL;
}

static const struct {
	const char *word;
	void (*make_entry)(unsigned number, char *text);
	void *(*make)(const struct setting *setting);
	void (*free)(void *list);
	const void *(*ask)(const void *list, const struct question *question);
	size_t look_ups_per_entry;	/* 0: as many for each list */
} kinds[] = {
	{ "host names", make_name_entry, make_hosts, free_hosts, ask_name, 0 },
	{ "IPv4 addresses", make_address_entry, make_hosts, free_hosts, ask_ipv4, 0 },
	{ "IPv4 networks, 13 lengths", make_network_entry, make_hosts, free_hosts, ask_ipv4, 0 },
	{ "IPv4 ranges", make_range_entry, make_hosts, free_hosts, ask_ipv4, 0 },
	{ "IPv6 networks, 3 lengths", make_ipv6_entry, make_hosts, free_hosts, ask_ipv6, 0 },
	{ "destinations", make_name_entry, make_destinations, free_destinations, ask_destination, 0 },
	{ "senders", make_sender_entry, make_addresses, free_addresses, ask_address, 0 },
	{ "(host names, walked)", make_name_entry, make_walk, free_walk, ask_walk, 100000000 },
};

static void
measure(size_t kind, size_t entries)
{
	struct setting_item *items = memory_new(entries, sizeof(*items));
	struct setting setting = { .text = "", .items = items, .count = entries };
	size_t look_ups = kinds[kind].look_ups_per_entry > 0 ? kinds[kind].look_ups_per_entry / entries : LOOK_UPS;
	double began, made, asked;
	void *list;

	if (look_ups > LOOK_UPS)
		look_ups = LOOK_UPS;
	for (size_t i = 0; i < entries; i++) {
		char text[128];

		kinds[kind].make_entry((unsigned)i, text);
		items[i].text = memory_copy_string(text);
	}
	began = now_ns();
	list = kinds[kind].make(&setting);
	made = now_ns();
	for (size_t i = 0; i < look_ups; i++)
		found += kinds[kind].ask(list, &questions[i % QUESTIONS]) != NULL;
	asked = now_ns();
	printf("  %8.0f ns (%5.1f ms)", (asked - made) / (double)look_ups, (made - began) / 1e6);
	kinds[kind].free(list);
	for (size_t i = 0; i < entries; i++)
		free((char *)(uintptr_t)items[i].text);
	free(items);
}

int
main(void)
{
	static const size_t sizes[] = { 50, 5000, 50000 };

	make_questions();
	printf("%-28s%24s%24s%24s\n", "a look-up (and the making)", "50 entries", "5,000 entries", "50,000 entries");
	for (size_t kind = 0; kind < ARRAY_COUNT(kinds); kind++) {
		printf("%-28s", kinds[kind].word);
		for (size_t size = 0; size < ARRAY_COUNT(sizes); size++)
			measure(kind, sizes[size]);
		printf("\n");
	}
	return 0;
}
