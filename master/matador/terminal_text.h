/* terminal_text - text of any origin for a terminal: what would move the cursor, or is no UTF-8, becomes a question mark */
#ifndef MASTER_MATADOR_TERMINAL_TEXT_H
#define MASTER_MATADOR_TERMINAL_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"

void terminal_append(struct buffer *out, const char *text);
/* The same where the text stands: no octet is more or less. */
void terminal_clean(char *text);
/* The same, filled with blanks up to width. */
void terminal_append_column(struct buffer *out, const char *text, size_t width);
/* "  name       value" and the end of the line; nothing when value is NULL or "". */
void terminal_append_fact(struct buffer *out, const char *name, const char *value);

/* Where something stands: "FILE:LINE"; without a line file alone; "-" for nowhere. */
void terminal_format_place(const char *file, uint32_t line, char *place, size_t size);

#endif
