/*
 * failure_text - what a report says about each class of failure, the administrator's own text included
 *
 * With failure_texts_from = text_file the settings name files. They are read before the jail; a reload finds those
 * that were read then, and one that cannot be read costs its text, never the report.
 */
#ifndef ROUTER_FAILURE_TEXT_H
#define ROUTER_FAILURE_TEXT_H

#include "common/conf/settings.h"
#include "common/ipc/route.h"
#include "common/mail/envelope.h"

/* Reads the text files that the settings name. Says in the log which one could not be read. */
void failure_text_read_files(const struct settings *settings);
void failure_text_forget_files(void);

/* One sentence about the class; "" for FAILURE_NONE. */
const char *failure_text_summary(enum failure_class failure);

/* What the administrator wants added to a report of that kind and class; "" for nothing. */
const char *failure_text_added(const struct settings *settings, enum report_kind kind, enum failure_class failure);

#endif
