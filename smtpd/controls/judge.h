/*
 * judge - what the controls have in common: how a judgement is written down, and whether a client is on a list
 */
#ifndef SMTPD_CONTROLS_JUDGE_H
#define SMTPD_CONTROLS_JUDGE_H

#include "common/conf/host_list.h"
#include "smtpd/controls/control.h"
#include "smtpd/rules.h"

/* The setting that decided: its key and its place. */
#define JUDGED_BY(judgement, question, key) \
	judge_by((judgement), #key, &rules_configuration((question)->rules)->key)

void judge_by(struct control_judgement *judgement, const char *key, const struct setting *setting);
/* A list's entry decided. */
void judge_by_entry(struct control_judgement *judgement, const char *key, const struct setting_item *entry);

void judge_skipped(struct control_judgement *judgement);
void judge_needs(struct control_judgement *judgement, enum fact fact);
/* text, the reply's argument, is cut to CONTROL_TEXT_MAX; NULL for none. */
void judge_refuses(struct control_judgement *judgement, enum reply reply, const char *text);

/* Which of a client's names count. */
enum name_trust {
	EVERY_NAME,		/* for what denies */
	TRUSTED_NAMES,		/* for what allows or exempts: those that lead back, with confirm_host_names */
};

enum on_list {
	NOT_ON_LIST,
	ON_LIST,
	LIST_NEEDS_NAMES,	/* no address on it has the client, and its names are not known yet */
};

/*
 * Whether the client is on a list. *entry_out is the entry that has it: the first of those for addresses, and when
 * there is none the first of those for names. So it does not depend on whether the names are known already.
 */
enum on_list judge_client(const struct control_question *question, const struct host_list *list, enum name_trust trust,
    const struct setting_item **entry_out);

/* Whether the name counts. */
bool judge_trusts_name(const struct control_question *question, size_t number, enum name_trust trust);

/*
 * text with its first %s replaced by the first argument, and so on; what is left of %s stays as it is. arguments
 * ends with NULL. Nothing else in text has a meaning.
 */
void judge_fill_in(const char *text, const char *const *arguments, char filled[static CONTROL_TEXT_MAX]);

#endif
