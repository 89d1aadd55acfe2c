/* own_log - master's own events on their way to logger */
#ifndef MASTER_OWN_LOG_H
#define MASTER_OWN_LOG_H

#include "master/supervise.h"

/* logger was started: introduces master to it, and sends master's events there. */
void own_log_connect(struct event_base *base, struct process *logger);

/* logger is gone. keep: master's events wait for the next one; otherwise they go to standard error until it is there. */
void own_log_disconnect(struct event_base *base, bool keep);

/* The log file is to be opened again. */
void own_log_reopen(void);

#endif
