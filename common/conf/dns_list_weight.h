/*
 * dns_list_weight - an entry of dns_list_weight: how much a zone, or one answer of it, counts
 *
 * zone*weight, zone=127.0.0.2*weight, zone=127.0.0.2-9*weight. Weights are -1000 to 1000, octets may be ranges.
 */
#ifndef COMMON_CONF_DNS_LIST_WEIGHT_H
#define COMMON_CONF_DNS_LIST_WEIGHT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"

#define DNS_LIST_WEIGHT_MAX 1000

struct dns_list_weight {
	char zone[256];		/* lower case */
	uint8_t low[4];		/* the answers that it counts for, octet by octet */
	uint8_t high[4];
	int weight;
};

/* -1 and what is wrong with the entry (without the text itself). */
int dns_list_weight_parse(const char *text, struct dns_list_weight *weight_out, struct error *error);

/* Whether it counts for this answer of its zone. */
bool dns_list_weight_matches(const struct dns_list_weight *weight, struct in_addr answer);

#endif
