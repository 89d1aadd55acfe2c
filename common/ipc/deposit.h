/* deposit - the messages of common/ipc/deposit.def as structs, send functions and handlers */
#ifndef COMMON_IPC_DEPOSIT_H
#define COMMON_IPC_DEPOSIT_H

#include "common/mail/call_out.h"

#define IPC_TABLE "common/ipc/deposit.def"
#define IPC_PROTOCOL deposit
#include "common/ipc/declare.h"

enum deposit_outcome {
	DEPOSIT_STORED,		/* on stable storage */
	DEPOSIT_TEMPORARY,	/* not now: 451 or 452 */
	DEPOSIT_PERMANENT,	/* never: 554 */
};

#endif
