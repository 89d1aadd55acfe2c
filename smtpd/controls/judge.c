/* judge - see judge.h */
#include "smtpd/controls/judge.h"

#include <string.h>

void
judge_by(struct control_judgement *judgement, const char *key, const struct setting *setting)
{
	judgement->rule = key;
	judgement->at = setting->at;
	judgement->entry = NULL;
}

void
judge_by_entry(struct control_judgement *judgement, const char *key, const struct setting_item *entry)
{
	judgement->rule = key;
	judgement->at = entry->at;
	judgement->entry = entry->text;
}

void
judge_skipped(struct control_judgement *judgement)
{
	judgement->verdict = CONTROL_SKIPPED;
}

void
judge_needs(struct control_judgement *judgement, enum fact fact)
{
	judgement->verdict = CONTROL_NEEDS;
	judgement->fact = fact;
}

void
judge_refuses(struct control_judgement *judgement, enum reply reply, const char *text)
{
	judgement->verdict = CONTROL_REFUSES;
	judgement->reply = reply;
	if (text != NULL)
		strlcpy(judgement->text, text, sizeof(judgement->text));
}

bool
judge_trusts_name(const struct control_question *question, size_t number, enum name_trust trust)
{
	return trust == EVERY_NAME || question->client->host_names->names[number].is_confirmed ||
	    !rules_configuration(question->rules)->confirm_host_names.number;
}

static const struct setting_item *
find_names(const struct control_question *question, const struct host_list *list, enum name_trust trust)
{
	const struct host_names *names = question->client->host_names;
	const struct setting_item *first = NULL;

	for (size_t i = 0; i < names->count; i++) {
		const struct setting_item *found = judge_trusts_name(question, i, trust) ?
		    host_list_find_name(list, names->names[i].name) : NULL;

		if (found != NULL && (first == NULL || found < first))
			first = found;
	}
	return first;
}

enum on_list
judge_client(const struct control_question *question, const struct host_list *list, enum name_trust trust,
    const struct setting_item **entry_out)
{
	*entry_out = host_list_find_address(list, question->client->address);
	if (*entry_out != NULL)
		return ON_LIST;
	if (!host_list_has_names(list))
		return NOT_ON_LIST;
	if (!(question->client->known & FACT_BIT(FACT_HOST_NAMES)))
		return LIST_NEEDS_NAMES;
	*entry_out = find_names(question, list, trust);
	return *entry_out != NULL ? ON_LIST : NOT_ON_LIST;
}

void
judge_fill_in(const char *text, const char *const *arguments, char filled[static CONTROL_TEXT_MAX])
{
	size_t length = 0;

	while (*text != '\0' && length < CONTROL_TEXT_MAX - 1) {
		if (text[0] == '%' && text[1] == 's' && *arguments != NULL) {
			size_t room = CONTROL_TEXT_MAX - 1 - length, taken = strnlen(*arguments, room);

			memcpy(filled + length, *arguments, taken);
			length += taken;
			arguments++;
			text += 2;
		} else {
			filled[length++] = *text++;
		}
	}
	filled[length] = '\0';
}
