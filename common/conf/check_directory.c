/* check_directory - names and addresses of people, groups and mail-in databases: each means one thing, and
 * exists */
#include <string.h>
#include <strings.h>

#include "common/conf/check.h"
#include "common/conf/report.h"

/* Adds a name that no other entry with one of the uses may have. */
static void
claim(struct check *check, const char *text, enum name_use use, unsigned conflicts, struct position at,
    const char *key, const void *document)
{
	const struct name_entry *first;

	if (text[0] == '\0')
		return;
	first = names_find(check->names, text, conflicts);
	if (first != NULL)
		report_error(check->report, at, key, "found \"%s\" a second time (first in %s:%u); allowed: each "
		    "once", text, first->at.file, first->at.line);
	else
		names_add(check->names, text, use, at, document);
}

static void
add_person(struct check *check, const struct document_person *person)
{
	claim(check, person->title, NAME_PERSON, NAME_PERSON | NAME_GROUP | NAME_DATABASE, person->at, "person",
	    person);
	for (size_t i = 0; i < person->short_names.count; i++)
		claim(check, person->short_names.items[i].text, NAME_SHORT, NAME_SHORT,
		    person->short_names.items[i].at, "short_names", person);
	for (size_t i = 0; i < person->full_names.count; i++)
		names_add(check->names, person->full_names.items[i].text, NAME_FULL,
		    person->full_names.items[i].at, person);
	claim(check, person->internet_address.text, NAME_ADDRESS, NAME_ADDRESS, person->internet_address.at,
	    "internet_address", person);
}

void
check_names(struct check *check)
{
	const struct settings *settings = check->settings;

	for (size_t i = 0; i < settings->server_count; i++)
		claim(check, settings->server_documents[i].title, NAME_SERVER, NAME_SERVER,
		    settings->server_documents[i].at, "server", &settings->server_documents[i]);
	for (size_t i = 0; i < settings->group_count; i++) {
		const struct document_group *group = &settings->group_documents[i];

		claim(check, group->title, NAME_GROUP, NAME_PERSON | NAME_GROUP | NAME_DATABASE, group->at,
		    "group", group);
		claim(check, group->internet_address.text, NAME_ADDRESS, NAME_ADDRESS, group->internet_address.at,
		    "internet_address", group);
	}
	for (size_t i = 0; i < settings->mail_in_database_count; i++) {
		const struct document_mail_in_database *database = &settings->mail_in_database_documents[i];

		claim(check, database->title, NAME_DATABASE, NAME_PERSON | NAME_GROUP | NAME_DATABASE,
		    database->at, "mail_in_database", database);
		claim(check, database->internet_address.text, NAME_ADDRESS, NAME_ADDRESS,
		    database->internet_address.at, "internet_address", database);
	}
	for (size_t i = 0; i < settings->person_count; i++)
		add_person(check, &settings->person_documents[i]);
}

static void
check_mail_server(struct check *check, const struct setting *server)
{
	if (server->text[0] != '\0' && names_find(check->names, server->text, NAME_SERVER) == NULL)
		report_error(check->report, server->at, "mail_server", "found \"%s\", which has no server "
		    "document; allowed: the title of a document in servers.conf, or nothing for this server",
		    server->text);
}

/* A path below mail_directory: no part of it may lead out, and none begins with a dot, which Maildir uses
 * itself. */
static void
check_mail_file(struct check *check, const struct setting *file)
{
	const char *text = file->text;
	bool good = true;

	for (const char *part = text; good && *text != '\0'; part += strcspn(part, "/") + 1) {
		size_t length = strcspn(part, "/");

		good = length > 0 && length <= 200 && part[0] != '.';
		if (part[length] == '\0')
			break;
	}
	if (!good)
		report_error(check->report, file->at, "mail_file", "found \"%s\"; allowed: a name below "
		    "mail_directory, in parts of 1 to 200 octets that do not begin with a dot", text);
}

static void
check_person(struct check *check, const struct document_person *person)
{
	const struct setting *forward = &person->forwarding_address;

	check_mail_server(check, &person->mail_server);
	check_mail_file(check, &person->mail_file);
	if (forward->text[0] == '\0')
		return;
	if (strchr(forward->text, '@') == NULL && names_find(check->names, forward->text, NAME_RECIPIENT) == NULL)
		report_error(check->report, forward->at, "forwarding_address",
		    "found \"%s\", which the Directory does not know; allowed: an Internet address, a name of "
		    "the Directory", forward->text);
	else if (strcasecmp(forward->text, person->internet_address.text) == 0 ||
	    strcasecmp(forward->text, person->title) == 0)
		report_error(check->report, forward->at, "forwarding_address", "found the person's own; allowed: "
		    "another one");
}

/* Addresses, patterns, and the hosts and domains of groups for the inbound controls stand for themselves. */
static bool
stands_for_itself(const char *member)
{
	return strchr(member, '@') != NULL || member[0] == '*' || member[0] == '[' ||
	    (strchr(member, '.') != NULL && strpbrk(member, "/ ") == NULL);
}

/* Members of access lists may have left, or never been here. */
static void
check_members(struct check *check, const struct document_group *group)
{
	unsigned uses = NAME_RECIPIENT | (group->type.number == GROUP_TYPE_MAIL_ONLY ? 0 : NAME_SERVER);

	if (!group_takes_mail(group) && group->type.number != GROUP_TYPE_SERVERS_ONLY)
		return;
	for (size_t i = 0; i < group->members.count; i++) {
		const struct setting_item *member = &group->members.items[i];

		if (!stands_for_itself(member->text) && names_find(check->names, member->text, uses) == NULL)
			report_error(check->report, member->at, "members", "found \"%s\", which the Directory "
			    "does not know; allowed: a person, a group, a mail-in database, an Internet address",
			    member->text);
	}
}

void
check_directory(struct check *check)
{
	const struct settings *settings = check->settings;

	for (size_t i = 0; i < settings->person_count; i++)
		check_person(check, &settings->person_documents[i]);
	for (size_t i = 0; i < settings->group_count; i++)
		check_members(check, &settings->group_documents[i]);
	for (size_t i = 0; i < settings->mail_in_database_count; i++) {
		const struct document_mail_in_database *database = &settings->mail_in_database_documents[i];

		check_mail_server(check, &database->mail_server);
		check_mail_file(check, &database->mail_file);
		if (database->mail_file.text[0] == '\0')
			report_error(check->report, database->at, "mail_file", "found no mail file; allowed: a "
			    "name below mail_directory");
	}
}
