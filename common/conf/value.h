/*
 * value - what the text behind a `=` means, by the type of its row
 *
 * A problem reads "found WHAT; allowed: WHAT". Secrets are never part of one.
 */
#ifndef COMMON_CONF_VALUE_H
#define COMMON_CONF_VALUE_H

#include <stdbool.h>

#include "common/base/buffer.h"
#include "common/conf/settings_memory.h"
#include "common/conf/table.h"

/* Sets number and text of a setting that is no list. False and a problem when the text is none of its type. */
bool value_parse(const struct setting_row *row, const char *text, struct settings_memory *memory,
    struct setting *setting_out,
    struct buffer *problem);

/* The canonical text of a list's item. */
bool value_parse_item(const struct setting_row *row, const char *text, struct settings_memory *memory,
    const char **text_out,
    struct buffer *problem);

/* Makes the default of a row; a wrong default in settings.def is a problem too (a unit test reads them all). */
bool value_parse_default(const struct setting_row *row, struct settings_memory *memory,
    struct setting *setting_out,
    struct buffer *problem);

/* Whether a setting of this row may have that number: its words and its range are used without asking again. */
bool value_number_is_possible(const struct setting_row *row, int64_t number);

/* Appends the value as it would stand in a file; a secret that is set as "(hidden)". */
void value_format(const struct setting_row *row, const struct setting *setting, struct buffer *out);

/* What a value of this type looks like, in a few words for messages and the manual. */
void value_describe(const struct setting_row *row, struct buffer *out);

/* The texts: canonical text for a text type or a list's item, in a buffer. See value_text.c. */
bool value_parse_text(const struct setting_row *row, const char *text, struct buffer *canonical,
    struct buffer *problem);

/* A Notes name without CN=, OU=, O=, as names are compared and kept. False when it is none. */
bool value_abbreviate_name(const char *text, struct buffer *canonical);

#endif
