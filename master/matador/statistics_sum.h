/*
 * statistics_sum - the statistics of all processes of a program, added up by name
 *
 * They stand among the name=value pairs of `matador status`; a statistic's name begins with its facility, as in
 * SMTP.DNSBL.TotalHits.
 */
#ifndef MASTER_MATADOR_STATISTICS_SUM_H
#define MASTER_MATADOR_STATISTICS_SUM_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"

struct statistic {
	char *name;			/* owned */
	uint64_t value;
};

struct statistics_sum {
	const char *facility;		/* borrowed: "SMTP", without case; NULL: all */
	struct statistic *list;		/* owned, by name */
	size_t count;
};

/* Takes one line of master's status: a word and name=value pairs, separated by tabs. context is the struct statistics_sum. */
void statistics_sum_line(void *context, const char *line);

/* Appends "  NAME = value" lines in the order of the names, then how many there are. */
void statistics_sum_append(const struct statistics_sum *sum, struct buffer *text);

void statistics_sum_free(struct statistics_sum *sum);

#endif
