/* address_order - see address_order.h */
#include "smtp/address_order.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/attributes.h"
#include "common/base/memory.h"

enum { SCOPE_LINK = 2, SCOPE_SITE = 5, SCOPE_GLOBAL = 14 };

/* The default policy table of RFC 6724 section 2.1; the longest prefix counts, so the longest come first. */
static const struct policy {
	uint8_t prefix[16];
	unsigned bits;
	int precedence;
	int label;
} policies[] = {
	{ { [15] = 1 }, 128, 50, 0 },				/* ::1 */
	{ { [10] = 0xff, 0xff }, 96, 35, 4 },			/* ::ffff:0:0/96: IPv4 */
	{ { 0 }, 96, 1, 3 },					/* ::/96 */
	{ { 0x20, 0x01 }, 32, 5, 5 },				/* 2001::/32: Teredo */
	{ { 0x20, 0x02 }, 16, 30, 2 },				/* 2002::/16: 6to4 */
	{ { 0x3f, 0xfe }, 16, 1, 12 },				/* 3ffe::/16: 6bone */
	{ { 0xfe, 0xc0 }, 10, 1, 11 },				/* fec0::/10: site-local */
	{ { 0xfc }, 7, 3, 13 },					/* fc00::/7: unique local */
	{ { 0 }, 0, 40, 1 },
};

/* IPv4 as IPv6. */
static void
to_octets(const union socket_address *address, uint8_t octets[static 16])
{
	if (address->any.sa_family == AF_INET6) {
		memcpy(octets, &address->ipv6.sin6_addr, 16);
		return;
	}
	memset(octets, 0, 10);
	octets[10] = octets[11] = 0xff;
	memcpy(octets + 12, &address->ipv4.sin_addr, 4);
}

static bool
has_prefix(const uint8_t octets[static 16], const uint8_t prefix[static 16], unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	return memcmp(octets, prefix, whole) == 0 &&
	    (rest == 0 || (octets[whole] ^ prefix[whole]) >> (8 - rest) == 0);
}

static const struct policy *
policy_of(const uint8_t octets[static 16])
{
	size_t i = 0;

	while (!has_prefix(octets, policies[i].prefix, policies[i].bits))
		i++;
	return &policies[i];
}

/* RFC 6724 sections 3.1 and 3.2. */
static int
scope_of(const union socket_address *address)
{
	const struct in6_addr *ipv6 = &address->ipv6.sin6_addr;

	if (address->any.sa_family == AF_INET) {
		uint32_t number = ntohl(address->ipv4.sin_addr.s_addr);

		return number >> 24 == 127 || number >> 16 == 0xa9fe ? SCOPE_LINK : SCOPE_GLOBAL;
	}
	if (IN6_IS_ADDR_MULTICAST(ipv6))
		return ipv6->s6_addr[1] & 0xf;
	if (IN6_IS_ADDR_LOOPBACK(ipv6) || IN6_IS_ADDR_LINKLOCAL(ipv6))
		return SCOPE_LINK;
	return IN6_IS_ADDR_SITELOCAL(ipv6) ? SCOPE_SITE : SCOPE_GLOBAL;
}

/* ---- sources ---------------------------------------------------------------------------------- */

/* Where a connection to candidate would come from; socket is of its family and may have been used before. */
static void
find_source(struct address_candidate *candidate, int socket)
{
	static const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
	socklen_t length = sizeof(candidate->source);

	/* Undoes the last one, whose source would stay otherwise. */
	connect(socket, &nowhere, sizeof(nowhere));
	candidate->reachable = connect(socket, &candidate->address.any,
	    socket_address_length(&candidate->address)) == 0 &&
	    getsockname(socket, &candidate->source.any, &length) == 0;
}

static void
find_sources_of_family(struct address_candidate *candidates, size_t count, int family,
    const struct source_addresses *sources)
{
	int descriptor = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	size_t i;

	/* Without a socket, or its source address, nothing of the family is reachable: the connections will say why. */
	if (descriptor == -1)
		return;
	if (source_addresses_bind(sources, descriptor, family, NULL) == 0)
		for (i = 0; i < count; i++)
			if (candidates[i].address.any.sa_family == family)
				find_source(&candidates[i], descriptor);
	close(descriptor);
}

void
address_order_find_sources(struct address_candidate *candidates, size_t count,
    const struct source_addresses *sources)
{
	size_t i;

	for (i = 0; i < count; i++)
		candidates[i].reachable = false;
	find_sources_of_family(candidates, count, AF_INET, sources);
	find_sources_of_family(candidates, count, AF_INET6, sources);
}

/* ---- order ------------------------------------------------------------------------------------ */

/* What the rules ask of one candidate, the first rule first: the smaller comes first. */
struct rank {
	int by_rule[5];
	size_t index;
};

static struct rank
rank_of(const struct address_candidate *candidate, size_t index)
{
	const struct policy *policy, *source_policy;
	int scope = scope_of(&candidate->address);
	uint8_t octets[16];

	if (!candidate->reachable)
		return (struct rank){ { 1 }, index };
	to_octets(&candidate->address, octets);
	policy = policy_of(octets);
	to_octets(&candidate->source, octets);
	source_policy = policy_of(octets);
	return (struct rank){ { 0, scope != scope_of(&candidate->source), policy->label != source_policy->label,
		-policy->precedence, scope }, index };
}

static int
compare_ranks(const void *one, const void *other)
{
	const struct rank *a = one, *b = other;
	size_t i;

	for (i = 0; i < ARRAY_COUNT(a->by_rule); i++)
		if (a->by_rule[i] != b->by_rule[i])
			return a->by_rule[i] < b->by_rule[i] ? -1 : 1;
	return a->index < b->index ? -1 : 1;
}

/* The next candidate from index on that is, or is not, of family; count when there is none. */
static size_t
next_of(const struct address_candidate *candidates, size_t count, size_t index, int family, bool same)
{
	while (index < count && (candidates[index].address.any.sa_family == family) != same)
		index++;
	return index;
}

/* Takes from sorted, whose first reachable ones are to alternate, into candidates. */
static void
alternate_families(const struct address_candidate *sorted, size_t count, struct address_candidate *candidates)
{
	size_t reachable = 0, taken = 0, next[2];
	int family = sorted[0].address.any.sa_family;
	bool first = true;

	while (reachable < count && sorted[reachable].reachable)
		reachable++;
	next[0] = next_of(sorted, reachable, 0, family, false);
	next[1] = next_of(sorted, reachable, 0, family, true);
	while (taken < reachable) {
		if (next[first] == reachable)
			first = !first;
		candidates[taken++] = sorted[next[first]];
		next[first] = next_of(sorted, reachable, next[first] + 1, family, first);
		first = !first;
	}
	memcpy(candidates + reachable, sorted + reachable, (count - reachable) * sizeof(*candidates));
}

void
address_order_sort(struct address_candidate *candidates, size_t count)
{
	struct address_candidate *sorted;
	struct rank *ranks;
	size_t i;

	if (count < 2)
		return;
	sorted = memory_new(count, sizeof(*sorted));
	ranks = memory_new(count, sizeof(*ranks));
	for (i = 0; i < count; i++)
		ranks[i] = rank_of(&candidates[i], i);
	qsort(ranks, count, sizeof(*ranks), compare_ranks);
	for (i = 0; i < count; i++)
		sorted[i] = candidates[ranks[i].index];
	alternate_families(sorted, count, candidates);
	free(ranks);
	free(sorted);
}

void
address_order(union socket_address *addresses, size_t count, const struct source_addresses *sources)
{
	struct address_candidate *candidates;
	size_t i;

	if (count < 2)
		return;
	candidates = memory_new(count, sizeof(*candidates));
	for (i = 0; i < count; i++) {
		size_t other = arc4random_uniform((uint32_t)i + 1);

		candidates[i] = candidates[other];
		candidates[other].address = addresses[i];
	}
	address_order_find_sources(candidates, count, sources);
	address_order_sort(candidates, count);
	for (i = 0; i < count; i++)
		addresses[i] = candidates[i].address;
	free(candidates);
}
