/*
 * names - which names and addresses etc/ defines, found in constant time and without regard to case
 *
 * Borrows every text and position; lives only while etc/ is checked or sealed.
 */
#ifndef COMMON_CONF_NAMES_H
#define COMMON_CONF_NAMES_H

#include "common/conf/settings.h"

enum name_use {
	NAME_SERVER = 1,
	NAME_PERSON = 2,
	NAME_FULL = 4,		/* a further full name of a person */
	NAME_SHORT = 8,
	NAME_GROUP = 16,
	NAME_DATABASE = 32,
	NAME_ADDRESS = 64,
	/* what a Directory's entry calls another one */
	NAME_RECIPIENT = NAME_PERSON | NAME_FULL | NAME_SHORT | NAME_GROUP | NAME_DATABASE,
};

struct names;

struct name_entry {
	const char *text;
	enum name_use use;
	struct position at;
	const void *document;	/* of the kind that use tells */
};

struct names *names_new(void);
void names_free(struct names **names);
void names_add(struct names *names, const char *text, enum name_use use, struct position at, const void *document);
/* An entry of that text with one of the uses, or NULL. */
const struct name_entry *names_find(const struct names *names, const char *text, unsigned uses);

/* Groups of a type that mail goes to: mail_only and multi_purpose. */
bool group_takes_mail(const struct document_group *group);

/* Which of the groups in a group count with their members. */
enum names_inner { NAMES_INNER_ALL, NAMES_INNER_TAKES_MAIL };

/* Calls each with every member of a group and of the groups in it (these are members too), each group once, until
 * it returns false. */
void names_each_member(const struct names *names, const struct document_group *group, enum names_inner inner,
    bool (*each_cb)(void *context, const struct setting_item *member), void *context);

/* Whether a group or a group in it has that member, as a name. */
bool names_group_has(const struct names *names, const struct document_group *group, const char *member);

#endif
