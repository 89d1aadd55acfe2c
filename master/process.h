/*
 * process - starts one program in a fresh address space
 *
 * The new process has its end of the pair to master at WORKER_PAIR_DESCRIPTOR, standard error, /dev/null for the other
 * two, and nothing else: no descriptor, no environment, no signal disposition of master's.
 */
#ifndef MASTER_PROCESS_H
#define MASTER_PROCESS_H

#include <sys/types.h>

#include "common/base/error.h"

/*
 * Runs path as name, with the number of the instance as its argument and standard_error (-1: master's) as its standard
 * error. master's end of the pair is *socket_out, the process id *pid_out. -1 and an error when it cannot be run.
 */
int process_start(const char *path, const char *name, unsigned instance, int standard_error, int *socket_out, pid_t *pid_out,
    struct error *error);

/* How a process ended, for the log: "exit 70", "signal 9 (Killed)". Borrowed until the next call. */
const char *process_end_text(int status);

#endif
