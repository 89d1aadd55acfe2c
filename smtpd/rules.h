/*
 * rules - the documents that a session began with, and what is compiled from them
 *
 * Shared by all sessions that began under the same documents: a reload makes new rules for new sessions, and the
 * old ones live until their last session ends.
 */
#ifndef SMTPD_RULES_H
#define SMTPD_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf/host_list.h"
#include "common/conf/settings.h"
#include "common/mail/local_domain.h"
#include "smtpd/controls/lists.h"
#include "smtpd/parameters.h"

struct rules {
	const struct settings *settings;	/* held */
	struct local_domains *local_domains;	/* owned */
	struct control_lists *lists;		/* owned */
	struct parameters_allowed parameters;
	uint64_t maximum_size;			/* octets of a message; 0: no limit */
	uint64_t dns_zones_id;			/* the same for all rules with the same DNS lists in force */
	unsigned references;
};

/* The caller's reference is the first. */
struct rules *rules_new(const struct settings *settings);
struct rules *rules_hold(struct rules *rules);
/* The pointer is cleared; NULL is accepted. */
void rules_release(struct rules **rules);

static inline const struct document_configuration *
rules_configuration(const struct rules *rules)
{
	return &rules->settings->configuration;
}

static inline const char *
rules_host_name(const struct rules *rules)
{
	return rules->settings->server.internet_host_name.text;
}

#endif
