/*
 * evaluator_child - the two kinds of children of policy: the evaluator, and the template that all evaluators are forked from
 *
 * The evaluator gives up everything, then answers one request after the other. Whoever takes it over has all memory that it was forked
 * with: so it is never forked from policy amid the traffic, but from a template, a child that was forked when policy knew nothing yet,
 * and has read nothing since.
 */
#ifndef POLICY_EVALUATOR_CHILD_H
#define POLICY_EVALUATOR_CHILD_H

#include <sys/types.h>

#include "common/base/attributes.h"
#include "policy/evaluator.h"

/*
 * Runs in a process that parent just forked, until the socket is closed or parent is gone. For each packet of one octet with one end of
 * a pair it starts an evaluator at that end, a child of parent, and answers with a pid_t: the evaluator, or -errno.
 */
void evaluator_template_run(int socket, pid_t parent, evaluator_compute_cb compute) NO_RETURN;

#endif
