/*
 * statistics - how often the filters had a client, under the names that Domino administrators know
 *
 * SMTP.PrivateWL.TotalHits, SMTP.PrivateBL.TotalHits, SMTP.DNSWL.TotalHits and SMTP.DNSBL.TotalHits; with the expand
 * settings also SMTP.DNSBL.zone.TotalHits and SMTP.DNSBL.zone.address.Hits. Each process counts for itself, from its start.
 *
 * Bounds: STATISTICS_OCTETS of expanded rows, which is what `matador status` has room for; what comes later is in the totals
 *         only.
 */
#ifndef SMTPD_STATISTICS_H
#define SMTPD_STATISTICS_H

#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/hash_table.h"

#define STATISTICS_OCTETS 6000

enum statistics_filter {
	STATISTICS_PRIVATE_WHITELIST,
	STATISTICS_PRIVATE_BLACKLIST,
	STATISTICS_DNS_WHITELIST,
	STATISTICS_DNS_BLACKLIST,
	STATISTICS_FILTER_COUNT,
};

/* All zero before anything was counted. */
struct statistics {
	uint64_t hits[STATISTICS_FILTER_COUNT];
	struct hash_table rows;		/* owned */
	size_t octets;			/* of their lines, with room for the largest numbers */
};

void statistics_free(struct statistics *statistics);

/* site and address are expanded into rows of their own, unless site is NULL. */
void statistics_count_hit(struct statistics *statistics, enum statistics_filter filter, const char *site,
    const char *address);

/* Appends "name=number\n" lines: the totals, then the rows. */
void statistics_append(const struct statistics *statistics, struct buffer *lines);

#endif
