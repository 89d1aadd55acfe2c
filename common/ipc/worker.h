/* worker - the messages of common/ipc/worker.def as structs, send functions and handlers */
#ifndef COMMON_IPC_WORKER_H
#define COMMON_IPC_WORKER_H

#define IPC_TABLE "common/ipc/worker.def"
#define IPC_PROTOCOL worker
#include "common/ipc/declare.h"

#endif
