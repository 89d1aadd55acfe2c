/* address_list - see address_list.h */
#include "common/conf/address_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/conf/listed_domain.h"
#include "common/conf/tail_set.h"

struct address_list {
	const struct setting *setting;
	struct tail_set *tails;		/* owned: whole addresses, @domain, tails of domains */
};

_Static_assert(ADDRESS_LOCAL_PART_MAX + 1 + LISTED_DOMAIN_MAX <= TAIL_MAX, "every address fits");

/*
 * The one form in which addresses are compared: the meaning of the local part, "@", the domain in its form for lists.
 * A tail without an @ ends within the domain, one with an @ begins at the last: a local part cannot look like a
 * domain.
 */
static void
comparable(const struct address *address, char text[static TAIL_MAX + 1])
{
	char domain[LISTED_DOMAIN_MAX + 1];

	if (address->is_literal)
		snprintf(domain, sizeof(domain), "%s", address->domain);
	else
		listed_domain_form(address->domain, domain);
	snprintf(text, TAIL_MAX + 1, "%s@%s", address->local_part, domain);
}

static void
add_address(struct address_list *list, size_t number)
{
	const char *text = list->setting->items[number].text;
	struct address address;
	char whole[TAIL_MAX + 1];

	if (address_parse(text, strlen(text), ADDRESS_ALLOW_UTF8, &address, NULL) == 0) {
		comparable(&address, whole);
		tail_set_add(list->tails, whole, TAIL_WHOLE, number);
	}
}

static void
add_domain(struct address_list *list, size_t number)
{
	const char *text = list->setting->items[number].text;
	char tail[LISTED_DOMAIN_MAX + 2] = "@";

	listed_domain_form(text + (text[0] == '@' || text[0] == '.'), tail + 1);
	if (text[0] == '@')
		tail_set_add(list->tails, tail, TAIL_CHARACTERS, number);
	else
		tail_set_add(list->tails, tail + 1, text[0] == '.' ? TAIL_BELOW : TAIL_LABELS, number);
}

struct address_list *
address_list_new(const struct setting *setting)
{
	struct address_list *list = memory_new(1, sizeof(*list));

	*list = (struct address_list){ setting, tail_set_new() };
	for (size_t i = 0; i < setting->count; i++) {
		const char *text = setting->items[i].text, *at = strchr(text, '@');

		if (at != NULL && at != text)
			add_address(list, i);
		else if (at != NULL || strchr(text, '.') != NULL)
			add_domain(list, i);
	}
	tail_set_close(list->tails);
	return list;
}

void
address_list_free(struct address_list **list)
{
	if (*list == NULL)
		return;
	tail_set_free(&(*list)->tails);
	free(*list);
	*list = NULL;
}

bool
address_list_is_empty(const struct address_list *list)
{
	return list->setting->count == 0;
}

const struct setting_item *
address_list_find(const struct address_list *list, const struct address *address)
{
	char text[TAIL_MAX + 1];
	size_t found;

	comparable(address, text);
	found = tail_set_find(list->tails, text);
	return found == TAIL_NOT_FOUND ? NULL : &list->setting->items[found];
}
