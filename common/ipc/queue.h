/* queue - the messages of common/ipc/queue.def as structs, send functions and handlers */
#ifndef COMMON_IPC_QUEUE_H
#define COMMON_IPC_QUEUE_H

#define IPC_TABLE "common/ipc/queue.def"
#define IPC_PROTOCOL queue
#include "common/ipc/declare.h"

enum queue_action_kind { QUEUE_HOLD, QUEUE_RELEASE, QUEUE_RETRY, QUEUE_REMOVE, QUEUE_ROUTE };

#endif
