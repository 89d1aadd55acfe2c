/* deliver - the messages of common/ipc/deliver.def as structs, send functions and handlers */
#ifndef COMMON_IPC_DELIVER_H
#define COMMON_IPC_DELIVER_H

#include "common/mail/call_out.h"

#define IPC_TABLE "common/ipc/deliver.def"
#define IPC_PROTOCOL deliver
#include "common/ipc/declare.h"

#define DELIVER_FRESH 1		/* deliver_begin.flags: an administrator asked; remembered failures of hosts do not count */

#endif
