/*
 * spf_library - evaluates a record with libspf2
 *
 * The only file that sees libspf2. It is not given the record: it gets a text made of what our own parser understood, with
 * names that we made up ("t7.x") in place of domain-specs, without macros, and without networks (whether the client is
 * in one is known at once). Each made-up name comes back as a question to the DNS layer below it, which is ours: there the
 * term is counted, its real name is made, and it is looked up among the known answers. What is left to libspf2 is the order of
 * the terms, their qualifiers, include and redirect, whose explanation counts, and the matching of the hosts of a and mx.
 */
#ifndef POLICY_SPF_LIBRARY_H
#define POLICY_SPF_LIBRARY_H

#include "policy/spf_terms.h"

/*
 * Evaluates the record of a domain. The verdict is one of PASS, FAIL, SOFTFAIL and NEUTRAL when the evaluation has
 * not ended. *explanation is the place of the explanation of a FAIL, its spec none when it has none; it lends from
 * the request's answers and from domain_out, which the caller frees.
 */
enum spf_verdict spf_library_judge(struct spf_evaluation *evaluation, const char *domain, struct spf_text record,
    struct spf_place *explanation, char **domain_out);

#endif
