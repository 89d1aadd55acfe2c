/*
 * mail_hosts - resolver's answer about a next hop: what may be tried, in which order, or why nothing may
 *
 * Bounds: MAIL_TARGETS_MAX hosts with MAIL_ADDRESSES_MAX addresses each are kept, the first ones;
 *         smtp_address_limit allows no attempt to try more.
 */
#ifndef SMTP_MAIL_HOSTS_H
#define SMTP_MAIL_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ipc/dns.h"
#include "common/net/next_hop.h"

#define MAIL_TARGETS_MAX 100
#define MAIL_ADDRESSES_MAX 100

/* A host that may be tried. */
struct mail_target {
	char *name;				/* owned */
	uint16_t preference;
	union socket_address *addresses;	/* owned */
	size_t address_count;
};

struct mail_hosts {
	enum mail_hosts_outcome outcome;
	uint32_t retry_seconds;
	char *text;				/* owned: why there is nothing to try */
	struct mail_target *targets;		/* owned, in the order in which they are to be tried */
	size_t count;
	/* The lowest preference of all hosts that can be used now or when they work again. */
	uint16_t best_preference;
	bool has_best;
	char *failed_name;			/* owned: the first host that is remembered as failed, or NULL */
	char *failed_text;			/* owned: why */
	uint32_t failed_seconds;		/* for how long */
};

struct mail_hosts *mail_hosts_new(void);
void mail_hosts_free(struct mail_hosts **hosts);

/* Takes one host of the answer; the addresses get port. */
void mail_hosts_add(struct mail_hosts *hosts, const struct mail_host *host, uint16_t port);
/* Takes the answer's last part. */
void mail_hosts_finish(struct mail_hosts *hosts, const struct mail_hosts_answer *answer);

#endif
