/* roles - the programs as numbers and names, expanded from roles.def */
#ifndef COMMON_WORKER_ROLES_H
#define COMMON_WORKER_ROLES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/ipc/protocol.h"

enum role {
	ROLE_MASTER,
#define ROLE(symbol, name, jail, processes) ROLE_##symbol,
#define PAIR(asker, server, protocol)
#include "common/worker/roles.def"
#undef ROLE
#undef PAIR
	ROLE_CONTROL,		/* the control command, introduced by master */
	ROLE_COUNT,
};

enum jail_kind { JAIL_NONE, JAIL_EMPTY, JAIL_MAILBOX, JAIL_DIRECTORY, JAIL_MAIL, JAIL_LOG };

struct role_row {
	const char *name;
	enum jail_kind jail;
	const char *processes_setting;	/* NULL: one process */
};

struct role_pair {
	enum role asker;
	enum role server;
	const struct ipc_protocol *protocol;
};

extern const struct role_row role_rows[ROLE_COUNT];
extern const struct role_pair role_pairs[];
extern const size_t role_pair_count;

/* The role of that name, or ROLE_COUNT. */
enum role role_by_name(const char *name);

/* A role as a bit, for the column "who may see it" of settings.def. */
#define ROLE_BIT(role) (1u << (role))

#endif
