/* inspection - the messages of common/ipc/inspection.def as structs, send functions and handlers */
#ifndef COMMON_IPC_INSPECTION_H
#define COMMON_IPC_INSPECTION_H

#define IPC_TABLE "common/ipc/inspection.def"
#define IPC_PROTOCOL inspection
#include "common/ipc/declare.h"

enum inspection_stage { INSPECTION_AT_CONNECT, INSPECTION_AT_CLIENT, INSPECTION_AT_MAIL, INSPECTION_AT_RCPT };

enum inspection_verdict {
	INSPECTION_PASSES,
	INSPECTION_SKIPPED,	/* the control does not apply */
	INSPECTION_EXEMPTS,	/* from relay controls and filters */
	INSPECTION_HITS,		/* a list of a filter has the client, and its action lets it in */
	INSPECTION_REFUSES,
	INSPECTION_NOT_REACHED,
};

enum inspection_outcome { INSPECTION_ACCEPTED, INSPECTION_REFUSED, INSPECTION_MALFORMED };

#endif
