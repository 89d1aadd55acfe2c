/* policy - the messages of common/ipc/policy.def as structs, send functions and handlers */
#ifndef COMMON_IPC_POLICY_H
#define COMMON_IPC_POLICY_H

#define IPC_TABLE "common/ipc/policy.def"
#define IPC_PROTOCOL policy
#include "common/ipc/declare.h"

/* RFC 7208 section 2.6. */
enum spf_verdict { SPF_VERDICT_NONE, SPF_VERDICT_NEUTRAL, SPF_VERDICT_PASS, SPF_VERDICT_FAIL, SPF_VERDICT_SOFTFAIL,
	SPF_VERDICT_TEMPERROR, SPF_VERDICT_PERMERROR, SPF_VERDICT_COUNT };

/* A session that opens, a MAIL, a RCPT. */
enum rate_kind { RATE_SESSION, RATE_MESSAGE, RATE_RECIPIENT, RATE_KIND_COUNT };

#define RATE_PEEK 1	/* nothing is counted */
#define RATE_CROWDED 2	/* a session beyond the process's share of maximum_sessions_per_client */

/* All that are open here; so many more that were not asked about; so many less. */
enum session_change { SESSIONS_ALL, SESSIONS_OPENED, SESSIONS_CLOSED };

#endif
