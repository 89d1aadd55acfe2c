/* evaluator_child - the evaluator's side of the pair: gives up everything, then answers one request after the other */
#ifndef POLICY_EVALUATOR_CHILD_H
#define POLICY_EVALUATOR_CHILD_H

#include <sys/types.h>

#include "common/base/attributes.h"
#include "policy/evaluator.h"

/* Runs in a process that parent just forked, until the pair is closed or parent is gone. */
void evaluator_child_run(int socket, pid_t parent, evaluator_compute_cb compute) NO_RETURN;

#endif
