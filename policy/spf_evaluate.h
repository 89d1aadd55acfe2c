/*
 * spf_evaluate - check_host() of RFC 7208 over the answers that are known
 *
 * A pure function of the request: the same octets in, the same out. It runs in the evaluator, over what strangers wrote.
 */
#ifndef POLICY_SPF_EVALUATE_H
#define POLICY_SPF_EVALUATE_H

#include "policy/spf_exchange.h"

void spf_evaluate(const struct spf_request *request, struct spf_reply *reply);

/* The same on packed octets, for the evaluator: false when the request is malformed. */
bool spf_evaluate_packed(const void *data, size_t length, struct buffer *reply);

#endif
