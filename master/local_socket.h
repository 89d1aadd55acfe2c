/* local_socket - the UNIX sockets of the control command: bound under control_socket's path, who is calling */
#ifndef MASTER_LOCAL_SOCKET_H
#define MASTER_LOCAL_SOCKET_H

#include <sys/types.h>

#include "common/base/error.h"

/* A listening socket of that type at path, mode 0666. One that a dead master left is replaced, one that answers is an error. */
int local_socket_listen(const char *path, int type, struct error *error);

/* The next waiting connection, or -1. Who it is was fixed by the kernel when it connected. */
int local_socket_accept(int listener, uid_t *uid_out);

#endif
