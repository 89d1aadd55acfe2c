/* client_dns - see client_dns.h */
#include "smtpd/client_dns.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "common/base/wire.h"

struct in6_addr
client_key(const struct sockaddr *address)
{
	struct in6_addr key = IN6ADDR_ANY_INIT;

	if (address->sa_family == AF_INET) {
		key.s6_addr[10] = key.s6_addr[11] = 0xff;
		memcpy(&key.s6_addr[12], &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
	} else if (address->sa_family == AF_INET6) {
		key = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
	}
	return key;
}

void
client_key_text(const struct in6_addr *key, char text[static INET6_ADDRSTRLEN])
{
	if (IN6_IS_ADDR_V4MAPPED(key))
		inet_ntop(AF_INET, &key->s6_addr[12], text, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, key, text, INET6_ADDRSTRLEN);
}

bool
client_key_of_text(const char *text, struct in6_addr *key_out)
{
	*key_out = (struct in6_addr){ .s6_addr = { [10] = 0xff, [11] = 0xff } };
	return inet_pton(AF_INET, text, &key_out->s6_addr[12]) == 1 || inet_pton(AF_INET6, text, key_out) == 1;
}

bool
dns_list_name(const struct in6_addr *key, const char *zone, char name[static DNS_NAME_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *octets = key->s6_addr;
	size_t length = 0;
	int rest;

	if (IN6_IS_ADDR_V4MAPPED(key)) {
		rest = snprintf(name, DNS_NAME_SIZE, "%u.%u.%u.%u.", octets[15], octets[14], octets[13], octets[12]);
		length = (size_t)rest;
	} else {
		for (size_t i = 16; i-- > 0;) {
			name[length++] = digits[octets[i] & 15];
			name[length++] = '.';
			name[length++] = digits[octets[i] >> 4];
			name[length++] = '.';
		}
	}
	rest = snprintf(name + length, DNS_NAME_SIZE - length, "%s", zone);
	return rest > 0 && length + (size_t)rest < DNS_NAME_SIZE;
}

/* Labels of letters, digits, hyphens and underscores: the latter stand in many reverse zones, and harm nobody. */
static bool
is_host_name(const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < length; i++) {
		char octet = name[i];

		if (octet == '.' ? i == 0 || name[i - 1] == '.' : !((octet >= 'a' && octet <= 'z') ||
		    (octet >= 'A' && octet <= 'Z') || (octet >= '0' && octet <= '9') || octet == '-' || octet == '_'))
			return false;
	}
	return length > 0 && length <= HOST_NAME_MAX_OCTETS && name[length - 1] != '.';
}

/* The place for a name: a free one, or for a confirmed name that of the last unconfirmed one. HOST_NAMES_MAX: none. */
static size_t
place_for_name(const struct host_names *names, bool is_confirmed)
{
	size_t place = names->count;

	if (place < HOST_NAMES_MAX || !is_confirmed)
		return place;
	while (place > 0 && names->names[place - 1].is_confirmed)
		place--;
	return place > 0 ? place - 1 : HOST_NAMES_MAX;
}

void
host_names_of_answer(const struct dns_answer *answer, struct host_names *names_out)
{
	struct wire_reader reader;

	memset(names_out, 0, sizeof(*names_out));
	names_out->state = answer->outcome == DNS_NO_ANSWER ? HOST_NAMES_NO_ANSWER : HOST_NAMES_NONE;
	if (answer->outcome != DNS_FOUND)
		return;
	wire_reader_init(&reader, answer->records.data, answer->records.length);
	for (unsigned i = 0; i < answer->count; i++) {
		const char *name = wire_get_string(&reader, HOST_NAME_MAX_OCTETS);
		bool is_confirmed = wire_get_u8(&reader) != 0;
		size_t place = place_for_name(names_out, is_confirmed);

		if (reader.failed)
			break;
		if (place == HOST_NAMES_MAX || !is_host_name(name))
			continue;
		strcpy(names_out->names[place].name, name);
		names_out->names[place].is_confirmed = is_confirmed;
		if (place == names_out->count)
			names_out->count++;
	}
	if (names_out->count > 0)
		names_out->state = HOST_NAMES_FOUND;
}

bool
dns_list_of_answer(const struct dns_answer *answer, struct dns_list_answer *list_out, struct in_addr *ignored_out)
{
	struct wire_reader reader;
	bool has_ignored = false;

	memset(list_out, 0, sizeof(*list_out));
	list_out->has_answered = answer->outcome != DNS_NO_ANSWER;
	if (answer->outcome != DNS_FOUND)
		return false;
	wire_reader_init(&reader, answer->records.data, answer->records.length);
	for (unsigned i = 0; i < answer->count; i++) {
		struct bytes octets = wire_get_bytes(&reader, 4);
		struct in_addr address;

		if (reader.failed)
			break;
		if (octets.length != sizeof(address))
			continue;
		memcpy(&address, octets.data, sizeof(address));
		if ((ntohl(address.s_addr) >> 24) == IN_LOOPBACKNET) {
			if (list_out->count < DNS_LIST_ANSWERS_MAX)
				list_out->answers[list_out->count++] = address;
		} else if (!has_ignored) {
			*ignored_out = address;
			has_ignored = true;
		}
	}
	return has_ignored;
}

int64_t
client_answer_lifetime_ms(const struct dns_answer *answer)
{
	int64_t ms = (int64_t)answer->ttl * 1000, longest = CLIENT_ANSWER_LONGEST_MS;

	if (answer->outcome == DNS_NO_ANSWER)
		return CLIENT_ANSWER_SILENCE_MS;
	if (answer->outcome != DNS_FOUND)
		longest = CLIENT_ANSWER_NOTHING_MS;
	if (ms > longest)
		return longest;
	return ms > CLIENT_ANSWER_SHORTEST_MS ? ms : CLIENT_ANSWER_SHORTEST_MS;
}
