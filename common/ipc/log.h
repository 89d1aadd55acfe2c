/* log - the messages of common/ipc/log.def as structs, send functions and handlers */
#ifndef COMMON_IPC_LOG_H
#define COMMON_IPC_LOG_H

#define IPC_TABLE "common/ipc/log.def"
#define IPC_PROTOCOL log
#include "common/ipc/declare.h"

#endif
