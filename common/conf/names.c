/* names - see names.h */
#include "common/conf/names.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/hash_table.h"
#include "common/base/memory.h"
#include "common/conf/settings_memory.h"

#define LONGEST_NAME 512

struct node {
	struct hash_node node;
	struct name_entry entry;
};

struct names {
	struct hash_table table;
	struct settings_memory *memory;
};

struct names *
names_new(void)
{
	struct names *names = memory_new(1, sizeof(*names));

	names->memory = settings_memory_new();
	return names;
}

void
names_free(struct names **names)
{
	if (*names == NULL)
		return;
	hash_table_free(&(*names)->table);
	settings_memory_free(&(*names)->memory);
	free(*names);
	*names = NULL;
}

static uint64_t
hash_folded(const char *text)
{
	char folded[LONGEST_NAME];
	size_t length = 0;

	for (; text[length] != '\0' && length < sizeof(folded); length++)
		folded[length] = text[length] >= 'A' && text[length] <= 'Z' ? (char)(text[length] | 0x20) :
		    text[length];
	return hash_bytes(folded, length);
}

void
names_add(struct names *names, const char *text, enum name_use use, struct position at, const void *document)
{
	struct node *node = settings_memory_take(names->memory, 1, sizeof(*node));

	node->entry = (struct name_entry){ text, use, at, document };
	hash_table_insert(&names->table, &node->node, hash_folded(text));
}

const struct name_entry *
names_find(const struct names *names, const char *text, unsigned uses)
{
	struct hash_node *found = hash_table_find(&names->table, hash_folded(text));

	for (; found != NULL; found = hash_node_next(found)) {
		const struct name_entry *entry = &HASH_CONTAINER(found, struct node, node)->entry;

		if ((entry->use & uses) != 0 && strcasecmp(entry->text, text) == 0)
			return entry;
	}
	return NULL;
}

/* The groups that a search has been in: groups may hold each other. */
struct visited {
	const struct document_group **groups;
	size_t count, capacity;
};

static bool
visit(struct visited *visited, const struct document_group *group)
{
	for (size_t i = 0; i < visited->count; i++)
		if (visited->groups[i] == group)
			return false;
	if (visited->count == visited->capacity) {
		visited->capacity = visited->capacity ? visited->capacity * 2 : 16;
		visited->groups = memory_resize(visited->groups, visited->capacity, sizeof(*visited->groups));
	}
	visited->groups[visited->count++] = group;
	return true;
}

bool
group_takes_mail(const struct document_group *group)
{
	return group->type.number == GROUP_TYPE_MAIL_ONLY || group->type.number == GROUP_TYPE_MULTI_PURPOSE;
}

void
names_each_member(const struct names *names, const struct document_group *group, enum names_inner inner,
    bool (*each_cb)(void *context, const struct setting_item *member), void *context)
{
	struct visited visited = { NULL, 0, 0 };
	bool goes_on = visit(&visited, group);

	/* What is visited is also the queue of what is still to be read. */
	for (size_t next = 0; goes_on && next < visited.count; next++) {
		const struct setting *members = &visited.groups[next]->members;

		for (size_t i = 0; goes_on && i < members->count; i++) {
			const struct name_entry *found = names_find(names, members->items[i].text, NAME_GROUP);

			if (found != NULL && (inner == NAMES_INNER_ALL || group_takes_mail(found->document)))
				visit(&visited, found->document);
			goes_on = each_cb(context, &members->items[i]);
		}
	}
	free(visited.groups);
}

struct member_search {
	const char *wanted;
	bool found;
};

static bool
compare_member(void *context, const struct setting_item *member)
{
	struct member_search *search = context;

	search->found = strcasecmp(member->text, search->wanted) == 0;
	return !search->found;
}

bool
names_group_has(const struct names *names, const struct document_group *group, const char *member)
{
	struct member_search search = { member, false };

	names_each_member(names, group, NAMES_INNER_ALL, compare_member, &search);
	return search.found;
}
