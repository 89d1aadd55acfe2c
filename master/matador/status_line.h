/* status_line - one line of master's status as people or programs read it */
#ifndef MASTER_MATADOR_STATUS_LINE_H
#define MASTER_MATADOR_STATUS_LINE_H

#include <stdbool.h>

#include "common/base/buffer.h"

struct status_view {
	bool json;
	struct buffer text;		/* what is to be printed */
	char kind[32];			/* of the last line: a new kind begins with a heading */
};

#define STATUS_VIEW_INITIALIZER { .text = BUFFER_INITIALIZER(0) }

/* Renders one line: a word and name=value pairs, separated by tabs. context is the struct status_view. */
void status_view_line(void *context, const char *line);

#endif
