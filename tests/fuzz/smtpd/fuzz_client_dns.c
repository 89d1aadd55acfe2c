/*
 * fuzz_client_dns - whatever the DNS says of a client, its names are host names, and only 127.0.0.0/8 lists it
 *
 * The first octet is the outcome, the second how many records there are; the rest are the records as they travel.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "smtpd/client_dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_names(const struct host_names *names)
{
	if (names->count > HOST_NAMES_MAX || (names->count > 0) != (names->state == HOST_NAMES_FOUND))
		abort();
	for (size_t i = 0; i < names->count; i++) {
		const char *name = names->names[i].name;

		if (*name == '\0' || strnlen(name, HOST_NAME_MAX_OCTETS + 1) > HOST_NAME_MAX_OCTETS ||
		    name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")] != '\0')
			abort();
	}
}

static void
check_list(const struct dns_list_answer *list)
{
	if (list->count > DNS_LIST_ANSWERS_MAX || (list->count > 0 && !list->has_answered))
		abort();
	for (size_t i = 0; i < list->count; i++)
		if (ntohl(list->answers[i].s_addr) >> 24 != 127)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_answer answer = { .text = "" };
	struct host_names names;
	struct dns_list_answer list;
	struct in_addr ignored;

	if (size < 2)
		return 0;
	answer.outcome = data[0] % (DNS_NO_ANSWER + 1);
	answer.count = data[1];
	answer.records = (struct bytes){ data + 2, size - 2 };
	host_names_of_answer(&answer, &names);
	check_names(&names);
	if (dns_list_of_answer(&answer, &list, &ignored) && ntohl(ignored.s_addr) >> 24 == 127)
		abort();
	check_list(&list);
	return 0;
}
