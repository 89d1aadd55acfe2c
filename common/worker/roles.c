/* roles - see roles.h */
#include "common/worker/roles.h"

#include <string.h>

#include "common/ipc/deliver.h"
#include "common/ipc/deposit.h"
#include "common/ipc/directory.h"
#include "common/ipc/dns.h"
#include "common/ipc/log.h"
#include "common/ipc/policy.h"
#include "common/ipc/route.h"

/* ONE has no setting: it expands to nothing, and its text is empty. */
#define ONE
#define TEXT_(...) #__VA_ARGS__
#define TEXT(...) TEXT_(__VA_ARGS__)
#define SETTING_NAME(...) (sizeof(TEXT(__VA_ARGS__)) == 1 ? NULL : TEXT(__VA_ARGS__))

const struct role_row role_rows[ROLE_COUNT] = {
	[ROLE_MASTER] = { "master", JAIL_NONE, NULL },
	[ROLE_CONTROL] = { "matador", JAIL_NONE, NULL },
#define ROLE(symbol, name_, jail_, processes) [ROLE_##symbol] = { #name_, jail_, SETTING_NAME(processes) },
#define PAIR(asker, server, protocol)
#include "common/worker/roles.def"
#undef ROLE
#undef PAIR
};

const struct role_pair role_pairs[] = {
#define ROLE(symbol, name, jail, processes)
#define PAIR(asker_, server_, name) { ROLE_##asker_, ROLE_##server_, &name##_protocol },
#include "common/worker/roles.def"
#undef ROLE
#undef PAIR
};
const size_t role_pair_count = sizeof(role_pairs) / sizeof(role_pairs[0]);

enum role
role_by_name(const char *name)
{
	enum role role;

	for (role = ROLE_MASTER; role < ROLE_COUNT; role++)
		if (strcmp(role_rows[role].name, name) == 0)
			break;
	return role;
}
