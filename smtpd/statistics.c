/* statistics - see statistics.h */
#include "smtpd/statistics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

static const char *const words[STATISTICS_FILTER_COUNT] = {
	[STATISTICS_PRIVATE_WHITELIST] = "SMTP.PrivateWL",
	[STATISTICS_PRIVATE_BLACKLIST] = "SMTP.PrivateBL",
	[STATISTICS_DNS_WHITELIST] = "SMTP.DNSWL",
	[STATISTICS_DNS_BLACKLIST] = "SMTP.DNSBL",
};

struct row {
	struct hash_node node;
	uint64_t hits;
	char name[];
};

void
statistics_free(struct statistics *statistics)
{
	struct hash_node *node;

	while ((node = hash_table_walk(&statistics->rows, NULL)) != NULL) {
		hash_table_remove(&statistics->rows, node);
		free(HASH_CONTAINER(node, struct row, node));
	}
	hash_table_free(&statistics->rows);
}

static void
count_row(struct statistics *statistics, const char *name)
{
	struct hash_node *node = hash_table_find(&statistics->rows, hash_text(name));
	size_t octets = strlen(name) + sizeof("=18446744073709551615");
	struct row *row = NULL;

	for (; node != NULL && row == NULL; node = hash_node_next(node)) {
		row = HASH_CONTAINER(node, struct row, node);
		if (strcmp(row->name, name) != 0)
			row = NULL;
	}
	if (row == NULL && statistics->octets + octets > STATISTICS_OCTETS)
		return;
	if (row == NULL) {
		row = memory_new(1, sizeof(*row) + strlen(name) + 1);
		strcpy(row->name, name);
		hash_table_insert(&statistics->rows, &row->node, hash_text(name));
		statistics->octets += octets;
	}
	row->hits++;
}

void
statistics_count_hit(struct statistics *statistics, enum statistics_filter filter, const char *site, const char *address)
{
	struct buffer name = BUFFER_INITIALIZER(0);

	statistics->hits[filter]++;
	if (site == NULL)
		return;
	buffer_printf(&name, "%s.%s.TotalHits", words[filter], site);
	count_row(statistics, buffer_text(&name));
	buffer_clear(&name);
	buffer_printf(&name, "%s.%s.%s.Hits", words[filter], site, address);
	count_row(statistics, buffer_text(&name));
	buffer_free(&name);
}

void
statistics_append(const struct statistics *statistics, struct buffer *lines)
{
	const struct hash_node *node = NULL;

	for (size_t i = 0; i < STATISTICS_FILTER_COUNT; i++)
		buffer_printf(lines, "%s.TotalHits=%" PRIu64 "\n", words[i], statistics->hits[i]);
	while ((node = hash_table_walk(&statistics->rows, node)) != NULL) {
		const struct row *row = HASH_CONTAINER(node, struct row, node);

		buffer_printf(lines, "%s=%" PRIu64 "\n", row->name, row->hits);
	}
}
