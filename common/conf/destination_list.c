/* destination_list - see destination_list.h */
#include "common/conf/destination_list.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/conf/listed_domain.h"
#include "common/conf/tail_set.h"

struct destination_list {
	const struct setting *setting;
	size_t everything;		/* the number of the first *, or TAIL_NOT_FOUND */
	struct tail_set *tails;		/* owned */
};

static void
add_entry(struct destination_list *list, size_t number, bool whole_labels)
{
	const char *text = list->setting->items[number].text;
	char tail[LISTED_DOMAIN_MAX + 1];

	if (strcmp(text, "*") == 0) {
		if (list->everything == TAIL_NOT_FOUND)
			list->everything = number;
	} else if (text[0] == '%') {
		tail_set_add(list->tails, text, TAIL_WHOLE, number);
	} else if (strpbrk(text, ".@") != NULL) {
		listed_domain_form(text + (text[0] == '@' || text[0] == '.'), tail);
		tail_set_add(list->tails, tail, text[0] == '@' ? TAIL_WHOLE : text[0] == '.' ? TAIL_BELOW :
		    whole_labels ? TAIL_LABELS : TAIL_CHARACTERS, number);
	}
}

struct destination_list *
destination_list_new(const struct setting *setting, const struct setting *except, bool whole_labels)
{
	struct destination_list *list = memory_new(1, sizeof(*list));
	struct tail_set *ignored = tail_set_of_texts(except);

	*list = (struct destination_list){ setting, TAIL_NOT_FOUND, tail_set_new() };
	for (size_t i = 0; i < setting->count; i++)
		if (tail_set_find(ignored, setting->items[i].text) == TAIL_NOT_FOUND)
			add_entry(list, i, whole_labels);
	tail_set_free(&ignored);
	tail_set_close(list->tails);
	return list;
}

void
destination_list_free(struct destination_list **list)
{
	if (*list == NULL)
		return;
	tail_set_free(&(*list)->tails);
	free(*list);
	*list = NULL;
}

bool
destination_list_is_empty(const struct destination_list *list)
{
	return list->setting->count == 0;
}

const struct setting_item *
destination_list_find(const struct destination_list *list, const char *destination)
{
	char domain[LISTED_DOMAIN_MAX + 1];
	size_t found = TAIL_NOT_FOUND;

	if (destination[0] == '%') {
		found = tail_set_find(list->tails, destination);
	} else if (destination[0] != '[') {
		listed_domain_form(destination, domain);
		found = tail_set_find(list->tails, domain);
	}
	if (list->everything < found)
		found = list->everything;
	return found == TAIL_NOT_FOUND ? NULL : &list->setting->items[found];
}
