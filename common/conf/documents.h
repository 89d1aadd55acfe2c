/*
 * documents - reads and checks etc/
 *
 * One run reports every mistake as FILE:LINE: KEY: what was found; what is allowed. Only matador.conf must exist.
 */
#ifndef COMMON_CONF_DOCUMENTS_H
#define COMMON_CONF_DOCUMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"
#include "common/conf/settings.h"

struct documents_report {
	struct buffer errors;	/* one line a mistake */
	size_t error_count;
	struct buffer warnings;	/* one line a warning: valid, but probably not meant */
	size_t warning_count;
};

/*
 * Reads every file of folder. NULL when there was a mistake (report->error_count > 0); the report is initialised by this
 * call and freed by documents_report_free(). The settings hold everything, the Directory too.
 */
const struct settings *documents_read(const char *folder, struct documents_report *report);
void documents_report_free(struct documents_report *report);

#endif
