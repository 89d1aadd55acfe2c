/*
 * fuzz_list_entry - entries of lists, one a line: whatever they are, look-ups in them stay inside and agree with
 * one another
 */
#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/conf/address_list.h"
#include "common/conf/destination_list.h"
#include "common/conf/dns_list_weight.h"
#include "common/conf/host_entry.h"
#include "common/conf/host_list.h"

#define LINES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
parse_entry(const char *text)
{
	struct dns_list_weight weight;
	struct host_entry entry;
	struct error error = ERROR_INITIALIZER;

	if (host_entry_parse(text, &entry, &error) == 0) {
		assert(entry.kind <= HOST_ENTRY_GROUP && entry.prefix <= 128);
		for (size_t i = 0; entry.kind == HOST_ENTRY_IPV4 && i < 4; i++)
			assert(entry.low[i] <= entry.high[i]);
	} else {
		assert(error.text[0] != '\0');
	}
	error.text[0] = '\0';
	if (dns_list_weight_parse(text, &weight, &error) == 0) {
		assert(weight.weight >= -DNS_LIST_WEIGHT_MAX && weight.weight <= DNS_LIST_WEIGHT_MAX);
		assert(strlen(weight.zone) < strlen(text) && weight.low[0] == 127 && weight.high[0] == 127);
		for (size_t i = 0; i < 4; i++)
			assert(weight.low[i] <= weight.high[i]);
	} else {
		assert(error.text[0] != '\0');
	}
}

static void
check_item(const struct setting *setting, const struct setting_item *item)
{
	assert(item == NULL || (item >= setting->items && item < setting->items + setting->count));
}

/* Every entry is looked up as if it were a name; whole labels never find what characters do not. */
static void
look_up(const struct setting *setting, const struct setting *except)
{
	struct host_list *hosts = host_list_new(setting, NULL, false), *labels = host_list_new(setting, except, true);
	struct destination_list *destinations = destination_list_new(setting, except, false);
	struct address_list *addresses = address_list_new(setting);
	struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in ipv4 = { .sin_family = AF_INET };

	for (size_t i = 0; i < setting->count; i++) {
		const char *text = setting->items[i].text;
		struct address address;

		check_item(setting, host_list_find_name(hosts, text));
		check_item(setting, destination_list_find(destinations, text));
		assert(host_list_find_name(labels, text) == NULL || host_list_find_name(hosts, text) != NULL);
		memcpy(&ipv4.sin_addr, text, strnlen(text, sizeof(ipv4.sin_addr)));
		memcpy(&ipv6.sin6_addr, text, strnlen(text, sizeof(ipv6.sin6_addr)));
		check_item(setting, host_list_find_address(hosts, (struct sockaddr *)&ipv4));
		check_item(setting, host_list_find_address(labels, (struct sockaddr *)&ipv6));
		if (address_parse(text, strlen(text), ADDRESS_ALLOW_UTF8, &address, NULL) == 0)
			check_item(setting, address_list_find(addresses, &address));
	}
	host_list_free(&hosts);
	host_list_free(&labels);
	destination_list_free(&destinations);
	address_list_free(&addresses);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct setting_item items[LINES_MAX];
	struct setting setting = { .text = "", .items = items }, except = { .text = "", .items = items };
	char *text = memory_copy(data, size), *rest = text, *line;

	while (setting.count < LINES_MAX && (line = strsep(&rest, "\n")) != NULL) {
		parse_entry(line);
		items[setting.count++] = (struct setting_item){ line, { "f", 1 } };
	}
	except.count = setting.count / 3;
	look_up(&setting, &except);
	free(text);
	return 0;
}
