/* expand - see expand.h */
#include "common/conf/expand.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/conf/host_entry.h"
#include "common/conf/names.h"

struct expansion {
	const struct settings *settings;
	struct settings_memory *memory;
	struct names *names;	/* NULL until the first group is met */
	/* the list that is being made */
	enum value_type type;
	struct setting_item *items;
	size_t count, capacity;
};

struct expansion *
expansion_new(const struct settings *settings, struct settings_memory *memory)
{
	struct expansion *expansion = memory_new(1, sizeof(*expansion));

	expansion->settings = settings;
	expansion->memory = memory;
	return expansion;
}

void
expansion_free(struct expansion **expansion)
{
	if (*expansion == NULL)
		return;
	names_free(&(*expansion)->names);
	free((*expansion)->items);
	free(*expansion);
	*expansion = NULL;
}

static struct names *
make_names(const struct settings *settings)
{
	struct names *names = names_new();

	for (size_t i = 0; i < settings->group_count; i++)
		names_add(names, settings->group_documents[i].title, NAME_GROUP, settings->group_documents[i].at,
		    &settings->group_documents[i]);
	for (size_t i = 0; i < settings->person_count; i++) {
		const struct document_person *person = &settings->person_documents[i];

		names_add(names, person->title, NAME_PERSON, person->at, person);
		for (size_t j = 0; j < person->short_names.count; j++)
			names_add(names, person->short_names.items[j].text, NAME_PERSON, person->at, person);
		for (size_t j = 0; j < person->full_names.count; j++)
			names_add(names, person->full_names.items[j].text, NAME_PERSON, person->at, person);
	}
	return names;
}

static void
add_item(struct expansion *expansion, const char *text, struct position at)
{
	if (expansion->count == expansion->capacity) {
		expansion->capacity = expansion->capacity ? expansion->capacity * 2 : 16;
		expansion->items = memory_resize(expansion->items, expansion->capacity, sizeof(*expansion->items));
	}
	expansion->items[expansion->count++] = (struct setting_item){ text, at };
}

/* A member as an entry of the list, when it can be one. */
static bool
add_member(void *context, const struct setting_item *member)
{
	struct expansion *expansion = context;
	bool has_at = strchr(member->text, '@') != NULL;
	bool is_domain = strchr(member->text, '.') != NULL && strpbrk(member->text, "@/ [*") == NULL;
	const struct name_entry *person = NULL;
	struct host_entry host;

	switch (expansion->type) {
	case TYPE_LIST_HOST_ENTRY:
		/* "*" is a name among members: it must not turn a list of hosts into everybody. */
		if (host_entry_parse(member->text, &host, NULL) == 0 && host.kind != HOST_ENTRY_GROUP &&
		    host.kind != HOST_ENTRY_ALL)
			add_item(expansion, member->text, member->at);
		return true;
	case TYPE_LIST_DESTINATION:
		if (is_domain || member->text[0] == '@' || member->text[0] == '%')
			add_item(expansion, member->text, member->at);
		return true;
	default:
		if (has_at || (is_domain && expansion->type == TYPE_LIST_ADDRESS_ENTRY))
			add_item(expansion, member->text, member->at);
		else
			person = names_find(expansion->names, member->text, NAME_PERSON);
		if (person != NULL &&
		    ((const struct document_person *)person->document)->internet_address.text[0] != '\0')
			add_item(expansion,
			    ((const struct document_person *)person->document)->internet_address.text, member->at);
		return true;
	}
}

/* The list's entries that have neither dot nor @ are groups: the check saw to it that they exist. */
static bool
may_be_group(const char *text)
{
	return strpbrk(text, ".@%*[") == NULL;
}

const struct setting_item *
expansion_items(struct expansion *expansion, const struct setting_row *row, const struct setting *setting,
    size_t *count_out)
{
	bool has_group = false;
	struct setting_item *made;

	*count_out = setting->count;
	if (row->type < TYPE_LIST_HOST_ENTRY || row->type > TYPE_LIST_RECIPIENT_ENTRY)
		return setting->items;
	for (size_t i = 0; i < setting->count; i++)
		has_group = has_group || may_be_group(setting->items[i].text);
	if (!has_group)
		return setting->items;
	if (expansion->names == NULL)
		expansion->names = make_names(expansion->settings);
	expansion->type = row->type;
	expansion->count = 0;
	for (size_t i = 0; i < setting->count; i++) {
		const struct name_entry *group = may_be_group(setting->items[i].text) ?
		    names_find(expansion->names, setting->items[i].text, NAME_GROUP) : NULL;

		/* The group's own name stays, and matches nobody: an allow list must not become empty, which
		 * means all. */
		add_item(expansion, setting->items[i].text, setting->items[i].at);
		if (group != NULL)
			names_each_member(expansion->names, group->document, NAMES_INNER_TAKES_MAIL, add_member,
			    expansion);
	}
	made = settings_memory_take(expansion->memory, expansion->count + 1, sizeof(*made));
	if (expansion->count > 0)
		memcpy(made, expansion->items, expansion->count * sizeof(*made));
	*count_out = expansion->count;
	return made;
}
