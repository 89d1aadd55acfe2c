/*
 * rules - the settings that a recipient is judged by, and what was made of them
 *
 * A request keeps the rules that it began with: whoever works by them holds them.
 */
#ifndef ROUTER_RULES_H
#define ROUTER_RULES_H

#include "common/base/attributes.h"
#include "common/conf/settings.h"
#include "common/mail/local_domain.h"

struct rules {
	unsigned references;
	const struct settings *settings;	/* held */
	struct local_domains *local_domains;	/* owned */
};

/* One reference is the caller's. */
struct rules *rules_new(const struct settings *settings);
struct rules *rules_hold(struct rules *rules);
void rules_release(struct rules **rules);

/* Where every rule that is looked at is told, for `matador explain`; step NULL: to nobody. */
struct trace {
	void (*step)(void *context, const struct position *at, const char *text);
	void *context;
};

/* at is where the rule stands, a setting's default included; NULL: nowhere. */
void trace_step(const struct trace *trace, const struct position *at, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
