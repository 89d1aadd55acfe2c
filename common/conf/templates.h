/* templates - a document of each kind in which every key has its default */
#ifndef COMMON_CONF_TEMPLATES_H
#define COMMON_CONF_TEMPLATES_H

#include "common/conf/settings_memory.h"
#include "common/conf/table.h"

/* Lives in memory. A default that is wrong (a unit test reads them all) is appended to problems. */
void *template_new(enum document_kind kind, struct settings_memory *memory, struct buffer *problems);

#endif
