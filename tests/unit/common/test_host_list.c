/* test_host_list - lists of hosts made ready, against a walk over their entries */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/attributes.h"
#include "common/conf/host_entry.h"
#include "common/conf/host_list.h"

#define ENTRIES 24

struct made_list {
	char texts[ENTRIES][64];
	struct setting_item items[ENTRIES];
	struct setting setting;
};

static unsigned
next_random(unsigned limit)
{
	static uint64_t state = 7;

	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state >> 33) % limit;
}

static const char *
pick(const char *const *words, size_t count)
{
	return words[next_random((unsigned)count)];
}

static void
make_octet(char *text)
{
	unsigned low = next_random(256), high = low + next_random(256 - low);

	switch (next_random(4)) {
	case 0:
		strcpy(text, "*");
		break;
	case 1:
		sprintf(text, "%u-%u", low, high);
		break;
	default:
		sprintf(text, "%u", next_random(3));
	}
}

static void
make_entry(char text[static 64])
{
	static const char *const names[] = { "com", "a.com", ".com", ".a.com", "ba.com", "b.a.com", "x", "A.Com", "aa.com" };
	char octets[4][8];

	switch (next_random(6)) {
	case 0:
		strcpy(text, next_random(8) == 0 ? "*" : pick(names, ARRAY_COUNT(names)));
		break;
	case 1:
		sprintf(text, "[%u.%u.%u.%u/%u]", next_random(3), next_random(3), next_random(256), next_random(256),
		    next_random(33));
		break;
	case 2:
		sprintf(text, "[2001:db8::%x:%x/%u]", next_random(4), next_random(4), 90 + next_random(39));
		break;
	case 3:
		for (size_t i = 0; i < 4; i++)
			make_octet(octets[i]);
		sprintf(text, "[%s.%s.%s.%s]", octets[0], octets[1], octets[2], octets[3]);
		break;
	default:
		strcpy(text, pick(names, ARRAY_COUNT(names)));
	}
}

static void
make_list(struct made_list *list)
{
	list->setting = (struct setting){ .text = "", .items = list->items, .count = next_random(ENTRIES) };
	for (size_t i = 0; i < list->setting.count; i++) {
		make_entry(list->texts[i]);
		list->items[i] = (struct setting_item){ list->texts[i], { "f", (uint32_t)i + 1 } };
	}
}

static struct sockaddr_storage
make_address(void)
{
	struct sockaddr_storage storage = { .ss_family = AF_UNSPEC };
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&storage;
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)&storage;
	char text[64];

	switch (next_random(4)) {
	case 0:
		sprintf(text, "2001:db8::%x:%x", next_random(4), next_random(4));
		in6->sin6_family = AF_INET6;
		assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
		break;
	case 1:
		sprintf(text, "::ffff:%u.%u.%u.%u", next_random(3), next_random(3), next_random(3), next_random(3));
		in6->sin6_family = AF_INET6;
		assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
		break;
	default:
		sprintf(text, "%u.%u.%u.%u", next_random(3), next_random(3), next_random(256), next_random(256));
		in->sin_family = AF_INET;
		assert_int_equal(inet_pton(AF_INET, text, &in->sin_addr), 1);
	}
	return storage;
}

/* The octets of an address; how many. */
static size_t
octets_of(const struct sockaddr_storage *storage, uint8_t octets[static 16])
{
	const struct in6_addr *in6 = &((const struct sockaddr_in6 *)(const void *)storage)->sin6_addr;

	if (storage->ss_family == AF_INET) {
		memcpy(octets, &((const struct sockaddr_in *)(const void *)storage)->sin_addr, 4);
		return 4;
	}
	if (IN6_IS_ADDR_V4MAPPED(in6)) {
		memcpy(octets, in6->s6_addr + 12, 4);
		return 4;
	}
	memcpy(octets, in6->s6_addr, 16);
	return 16;
}

static bool
plainly_has_address(const struct host_entry *entry, const uint8_t octets[static 16], size_t length)
{
	if (entry->kind == HOST_ENTRY_ALL)
		return true;
	if (entry->kind == HOST_ENTRY_IPV4 && length == 4) {
		for (size_t i = 0; i < 4; i++)
			if (octets[i] < entry->low[i] || octets[i] > entry->high[i])
				return false;
		return true;
	}
	if (entry->kind != HOST_ENTRY_IPV6 || length != 16)
		return false;
	for (unsigned bit = 0; bit < entry->prefix; bit++)
		if ((octets[bit / 8] ^ entry->address[bit / 8]) >> (7 - bit % 8) & 1)
			return false;
	return true;
}

static bool
plainly_has_name(const struct host_entry *entry, const char *name, bool whole_labels)
{
	size_t tail = strlen(entry->text), length = strlen(name);

	if (entry->kind != HOST_ENTRY_NAME || tail > length || strcasecmp(name + length - tail, entry->text) != 0)
		return false;
	if (entry->text[0] == '.')
		return length > tail;
	return !whole_labels || length == tail || name[length - tail - 1] == '.';
}

static bool
stands_on(const struct setting *list, const char *text)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcasecmp(list->items[i].text, text) == 0)
			return true;
	return false;
}

/* By walking; name NULL: by the address. */
static const struct setting_item *
plainly_find(const struct setting *list, const struct setting *except, const struct sockaddr_storage *address, const char *name,
    bool whole_labels)
{
	uint8_t octets[16] = { 0 };
	size_t length = octets_of(address, octets);

	for (size_t i = 0; i < list->count; i++) {
		struct host_entry entry;

		if (host_entry_parse(list->items[i].text, &entry, NULL) < 0 ||
		    (except != NULL && stands_on(except, list->items[i].text)))
			continue;
		if (name == NULL ? plainly_has_address(&entry, octets, length) : plainly_has_name(&entry, name, whole_labels))
			return &list->items[i];
	}
	return NULL;
}

static void
lists_agree_with_a_walk_over_their_entries(void **state UNUSED)
{
	static const char *const names[] = { "a.com", "b.a.com", "com", "aa.com", "x", "bx", "c.b.a.com", "B.A.COM", "a.org" };
	unsigned found_addresses = 0, found_names = 0;

	for (unsigned round = 0; round < 4000; round++) {
		struct made_list made, other;
		const struct setting *except = round % 2 == 0 ? &other.setting : NULL;
		bool whole_labels = round % 3 == 0;
		struct host_list *list;

		make_list(&made);
		make_list(&other);
		list = host_list_new(&made.setting, except, whole_labels);
		for (unsigned look_up = 0; look_up < 10; look_up++) {
			struct sockaddr_storage address = make_address();
			const char *name = pick(names, ARRAY_COUNT(names));
			const struct setting_item *by_address = plainly_find(&made.setting, except, &address, NULL, whole_labels);
			const struct setting_item *by_name = plainly_find(&made.setting, except, &address, name, whole_labels);

			found_addresses += by_address != NULL;
			found_names += by_name != NULL;
			if (host_list_find_address(list, (struct sockaddr *)&address) != by_address)
				fail_msg("round %u: an address, expected %s", round, by_address ? by_address->text : "none");
			if (host_list_find_name(list, name) != by_name)
				fail_msg("round %u: %s, expected %s", round, name, by_name ? by_name->text : "none");
		}
		host_list_free(&list);
	}
	assert_true(found_addresses > 5000 && found_names > 5000);
}

/* Several entries have the client: the first in the list is told, whatever it is. */
static void
the_first_entry_is_told(void **state UNUSED)
{
	struct setting_item items[] = { { "[192.0.2.0/24]", { "f", 1 } }, { "[192.0.2.7]", { "f", 2 } }, { "*", { "f", 3 } },
		{ ".com", { "f", 4 } }, { "a.com", { "f", 5 } } };
	struct setting setting = { .text = "", .items = items + 1, .count = 4 };
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(0xc0000207) } };
	struct host_list *list = host_list_new(&setting, NULL, false);

	assert_ptr_equal(host_list_find_address(list, (struct sockaddr *)&address), &items[1]);
	assert_ptr_equal(host_list_find_name(list, "x.a.com"), &items[3]);
	host_list_free(&list);
	setting.items = items;
	list = host_list_new(&setting, NULL, false);
	assert_ptr_equal(host_list_find_address(list, (struct sockaddr *)&address), &items[0]);
	host_list_free(&list);
}

static void
entries_of_the_other_list_match_nobody(void **state UNUSED)
{
	struct setting_item allowed[] = { { "[192.0.2.7]", { "f", 1 } }, { "a.com", { "f", 2 } }, { "*", { "f", 3 } } };
	struct setting_item denied[] = { { "A.com", { "f", 4 } }, { "[192.0.2.7]", { "f", 5 } }, { "*", { "f", 6 } } };
	struct setting setting = { .text = "", .items = allowed, .count = 3 };
	struct setting except = { .text = "", .items = denied, .count = 3 };
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(0xc0000207) } };
	struct host_list *list = host_list_new(&setting, &except, false);

	assert_false(host_list_is_empty(list));
	assert_false(host_list_has_names(list));
	assert_null(host_list_find_address(list, (struct sockaddr *)&address));
	assert_null(host_list_find_name(list, "a.com"));
	host_list_free(&list);
}

static void
a_group_without_members_is_no_empty_list(void **state UNUSED)
{
	struct setting_item items[] = { { "Partners", { "f", 1 } } };
	struct setting setting = { .text = "", .items = items, .count = 1 };
	struct host_list *list = host_list_new(&setting, NULL, false);

	assert_false(host_list_is_empty(list));
	assert_false(host_list_has_names(list));
	assert_null(host_list_find_name(list, "partners"));
	host_list_free(&list);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_agree_with_a_walk_over_their_entries),
		cmocka_unit_test(the_first_entry_is_told),
		cmocka_unit_test(entries_of_the_other_list_match_nobody),
		cmocka_unit_test(a_group_without_members_is_no_empty_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
