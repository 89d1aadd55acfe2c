/*
 * expand - groups in lists of hosts, domains and addresses, with what their members stand for
 *
 * So the programs that enforce such lists need not know the Directory. Only the lists of the controls are
 * expanded, lists of names (access_server) are not.
 */
#ifndef COMMON_CONF_EXPAND_H
#define COMMON_CONF_EXPAND_H

#include "common/conf/settings_memory.h"
#include "common/conf/table.h"

struct expansion;

/* Borrows both. */
struct expansion *expansion_new(const struct settings *settings, struct settings_memory *memory);
void expansion_free(struct expansion **expansion);

/* The items of a setting; behind a group that stands for hosts, domains or addresses come those of its members. */
const struct setting_item *expansion_items(struct expansion *expansion, const struct setting_row *row,
    const struct setting *setting, size_t *count_out);

#endif
