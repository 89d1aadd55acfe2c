/* rules - see rules.h */
#include "router/rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/memory.h"

#define STEP_MAX 2000

struct rules *
rules_new(const struct settings *settings)
{
	struct rules *rules = memory_new(1, sizeof(*rules));

	rules->references = 1;
	rules->settings = settings_hold(settings);
	rules->local_domains = local_domains_new(settings);
	return rules;
}

struct rules *
rules_hold(struct rules *rules)
{
	rules->references++;
	return rules;
}

void
rules_release(struct rules **rules)
{
	struct rules *released = *rules;

	*rules = NULL;
	if (released == NULL || --released->references > 0)
		return;
	local_domains_free(&released->local_domains);
	settings_release(&released->settings);
	free(released);
}

void
trace_step(const struct trace *trace, const struct position *at, const char *format, ...)
{
	static const struct position nowhere = { "", 0 }, by_default = { "default", 0 };
	char text[STEP_MAX];
	va_list arguments;

	if (trace->step == NULL)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	trace->step(trace->context, at == NULL ? &nowhere : at->line == 0 ? &by_default : at, text);
}
