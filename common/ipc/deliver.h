/* deliver - the messages of common/ipc/deliver.def as structs, send functions and handlers */
#ifndef COMMON_IPC_DELIVER_H
#define COMMON_IPC_DELIVER_H

#define IPC_TABLE "common/ipc/deliver.def"
#define IPC_PROTOCOL deliver
#include "common/ipc/declare.h"

#endif
