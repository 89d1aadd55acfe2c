/* report - how the reader of etc/ says what is wrong, one line a mistake: FILE:LINE: KEY: what was found; what is
 * allowed */
#ifndef COMMON_CONF_REPORT_H
#define COMMON_CONF_REPORT_H

#include "common/base/attributes.h"
#include "common/conf/documents.h"

void report_error(struct documents_report *report, struct position at, const char *key, const char *format, ...)
    PRINTF_LIKE(4, 5);
void report_warning(struct documents_report *report, struct position at, const char *key, const char *format, ...)
    PRINTF_LIKE(4, 5);

#endif
