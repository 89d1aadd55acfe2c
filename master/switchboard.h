/* switchboard - makes the socket pairs of roles.def and hands their ends to the two programs that may talk */
#ifndef MASTER_SWITCHBOARD_H
#define MASTER_SWITCHBOARD_H

#include "master/supervise.h"

/* Makes a fresh pair between process, just started, and each running process that it has a pair with, and introduces both. */
void switchboard_connect(struct supervisor *supervisor, struct process *process);

int switchboard_make_pair(int ends_out[2], struct error *error);

/* Tells process of a peer. socket stays the caller's. */
void switchboard_introduce(struct process *process, enum role peer, unsigned instance, const struct ipc_protocol *protocol,
    enum ipc_side side, int socket);

/* Makes a pair of which one end is introduced to process as side; the other is *socket_out. */
int switchboard_pair(struct process *process, enum role peer, unsigned instance, const struct ipc_protocol *protocol,
    enum ipc_side side, int *socket_out, struct error *error);

#endif
