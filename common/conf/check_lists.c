/* check_lists - entries of lists: groups exist and are of a fitting type, names exist, allow lists do not allow
 * by accident */
#include <string.h>

#include "common/conf/check.h"
#include "common/conf/host_entry.h"
#include "common/conf/report.h"
#include "common/conf/table.h"

/* Lists that allow or exempt: a tail of characters there lets in more than it says. */
static bool
allows_or_exempts(const struct setting_row *row)
{
	static const char *const names[] = { "relay_allow_destinations", "relay_allow_hosts",
	    "relay_enforcement_exclude_hosts", "private_whitelist_hosts", "allow_connections_from", "rate_exempt_hosts",
	    "spf_exempt_hosts", "greylist_exempt_hosts" };

	for (size_t i = 0; i < ARRAY_COUNT(names); i++)
		if (strcmp(row->name, names[i]) == 0)
			return true;
	return false;
}

static void
check_group(struct check *check, const struct setting_row *row, const struct setting_item *item)
{
	const struct name_entry *group = names_find(check->names, item->text, NAME_GROUP);
	const struct document_group *document;

	if (group == NULL) {
		report_error(check->report, item->at, row->name, "found \"%s\", and there is no such group; "
		    "allowed: a group of directory/, or another entry, which has a dot or an @", item->text);
		return;
	}
	document = group->document;
	if (!group_takes_mail(document))
		report_error(check->report, item->at, row->name, "found the group \"%s\" of type %s (%s:%u); "
		    "allowed: a group of type mail_only or multi_purpose", item->text,
		    type_choice_words(TYPE_CHOICE_group_type)[document->type.number], document->at.file,
		    document->at.line);
}

static void
check_name(struct check *check, const struct setting_row *row, const struct setting_item *item)
{
	unsigned uses = NAME_RECIPIENT | NAME_SERVER;

	if (item->text[0] != '*' && names_find(check->names, item->text, uses) == NULL)
		report_error(check->report, item->at, row->name, "found \"%s\", which is no server, person or "
		    "group; allowed: a name of servers.conf or directory/, */Unit/Organization, *", item->text);
}

/* An entry without a dot and an @ is a group, save the special forms of its list. */
static bool
is_group(const struct setting_row *row, const char *text)
{
	if (row->type == TYPE_LIST_HOST_ENTRY) {
		struct host_entry entry;

		return host_entry_parse(text, &entry, NULL) == 0 && entry.kind == HOST_ENTRY_GROUP;
	}
	return strpbrk(text, ".@%*[") == NULL;
}

/* An entry that lets in more than it seems to. */
static void
warn_of_tail(struct check *check, const struct setting_row *row, const struct setting_item *item)
{
	if (strcmp(item->text, "*") == 0)
		report_warning(check->report, item->at, row->name, "* lets in everybody; write what you mean");
	else if (strchr(".@[%", item->text[0]) == NULL &&
	    check->settings->configuration.host_entry_matching.number == HOST_ENTRY_MATCHING_CHARACTER_TAIL)
		report_warning(check->report, item->at, row->name, "%s lets in every name with that ending, such as "
		    "evil%s; write %s, or set host_entry_matching = whole_labels", item->text, item->text,
		    row->type == TYPE_LIST_HOST_ENTRY ? ".domain or [address]" : "@domain");
}

static void
check_entry(struct check *check, const struct setting_row *row, const struct setting_item *item, bool in_force)
{
	switch (row->type) {
	case TYPE_LIST_NAME:
		check_name(check, row, item);
		return;
	case TYPE_LIST_HOST_ENTRY:
	case TYPE_LIST_DESTINATION:
	case TYPE_LIST_ADDRESS_ENTRY:
	case TYPE_LIST_RECIPIENT_ENTRY:
		if (is_group(row, item->text))
			check_group(check, row, item);
		else if (in_force && allows_or_exempts(row))
			warn_of_tail(check, row, item);
		return;
	default:
		return;
	}
}

static void
check_document(struct check *check, enum document_kind kind, const void *document, bool in_force)
{
	for (size_t i = 0; i < document_rows[kind].setting_count; i++) {
		const struct setting_row *row = &document_rows[kind].settings[i];
		const struct setting *setting = document_setting_const(document, row);

		for (size_t j = 0; type_is_list(row->type) && setting->given && j < setting->count; j++)
			check_entry(check, row, &setting->items[j], in_force);
	}
}

void
check_lists(struct check *check)
{
	const struct settings *settings = check->settings;

	/* The Directory's own lists are checked with it. */
	for (size_t kind = KIND_server; kind < KIND_person; kind++) {
		for (size_t i = 0; i < settings_document_count(settings, kind); i++) {
			const struct document_start *document = settings_document(settings, kind, i);

			check_document(check, kind, document, kind != KIND_configuration ||
			    document->title == settings->configuration.title);
		}
	}
}
