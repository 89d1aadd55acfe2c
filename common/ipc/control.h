/* control - the messages of common/ipc/control.def as structs, send functions and handlers */
#ifndef COMMON_IPC_CONTROL_H
#define COMMON_IPC_CONTROL_H

#define IPC_TABLE "common/ipc/control.def"
#define IPC_PROTOCOL control
#include "common/ipc/declare.h"

#endif
