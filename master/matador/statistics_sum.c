/* statistics_sum - see statistics_sum.h */
#include "master/matador/statistics_sum.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/memory.h"
#include "master/matador/terminal_text.h"

/* A facility is a word in upper case before the first dot. */
static bool
is_wanted(const struct statistics_sum *sum, const char *name)
{
	size_t length = strcspn(name, ".");

	if (length == 0 || name[length] == '\0' || strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != length)
		return false;
	return sum->facility == NULL ||
	    (strlen(sum->facility) == length && strncasecmp(name, sum->facility, length) == 0);
}

static void
add(struct statistics_sum *sum, const char *name, uint64_t value)
{
	size_t place = 0;

	while (place < sum->count && strcmp(sum->list[place].name, name) < 0)
		place++;
	if (place < sum->count && strcmp(sum->list[place].name, name) == 0) {
		sum->list[place].value += value;
		return;
	}
	sum->list = memory_resize(sum->list, sum->count + 1, sizeof(*sum->list));
	memmove(sum->list + place + 1, sum->list + place, (sum->count - place) * sizeof(*sum->list));
	sum->list[place] = (struct statistic){ memory_copy_string(name), value };
	sum->count++;
}

void
statistics_sum_line(void *context, const char *line)
{
	struct statistics_sum *sum = context;
	char *copy = memory_copy_string(line), *next = copy, *field, *equals;

	while ((field = strsep(&next, "\t")) != NULL) {
		equals = strchr(field, '=');
		if (equals == NULL)
			continue;
		*equals = '\0';
		if (is_wanted(sum, field))
			add(sum, field, strtoull(equals + 1, NULL, 10));
	}
	free(copy);
}

void
statistics_sum_append(const struct statistics_sum *sum, struct buffer *text)
{
	for (size_t i = 0; i < sum->count; i++) {
		buffer_append_string(text, "  ");
		terminal_append(text, sum->list[i].name);
		buffer_printf(text, " = %" PRIu64 "\n", sum->list[i].value);
	}
	buffer_printf(text, "  %zu statistics found\n", sum->count);
}

void
statistics_sum_free(struct statistics_sum *sum)
{
	for (size_t i = 0; i < sum->count; i++)
		free(sum->list[i].name);
	free(sum->list);
	sum->list = NULL;
	sum->count = 0;
}
