/* protocols - the description of every protocol, expanded from its table */
#include <stddef.h>
#include <string.h>

#include "common/ipc/worker.h"
#include "common/ipc/log.h"
#include "common/ipc/deposit.h"
#include "common/ipc/route.h"
#include "common/ipc/deliver.h"
#include "common/ipc/dns.h"
#include "common/ipc/directory.h"
#include "common/ipc/inspection.h"
#include "common/ipc/policy.h"
#include "common/ipc/queue.h"
#include "common/ipc/control.h"

#define IPC_TABLE "common/ipc/worker.def"
#define IPC_PROTOCOL worker
#include "common/ipc/define.h"

#define IPC_TABLE "common/ipc/log.def"
#define IPC_PROTOCOL log
#include "common/ipc/define.h"

#define IPC_TABLE "common/ipc/deposit.def"
#define IPC_PROTOCOL deposit
#include "common/ipc/define.h"

#define IPC_TABLE "common/ipc/route.def"
#define IPC_PROTOCOL route
#include "common/ipc/define.h"

#define IPC_TABLE "common/ipc/deliver.def"
#define IPC_PROTOCOL deliver
#include "common/ipc/define.h"

#define IPC_TABLE "common/ipc/dns.def"
#define IPC_PROTOCOL dns
#include "common/ipc/define.h"

#define IPC_TABLE "common/ipc/directory.def"
#define IPC_PROTOCOL directory
#include "common/ipc/define.h"

#define IPC_TABLE "common/ipc/policy.def"
#define IPC_PROTOCOL policy
#include "common/ipc/define.h"

#define IPC_TABLE "common/ipc/inspection.def"
#define IPC_PROTOCOL inspection
#include "common/ipc/define.h"

#define IPC_TABLE "common/ipc/queue.def"
#define IPC_PROTOCOL queue
#include "common/ipc/define.h"

#define IPC_TABLE "common/ipc/control.def"
#define IPC_PROTOCOL control
#include "common/ipc/define.h"

const struct ipc_protocol *
ipc_protocol_by_name(const char *name)
{
	static const struct ipc_protocol *const all[] = { &worker_protocol, &log_protocol, &deposit_protocol,
		&route_protocol, &deliver_protocol, &dns_protocol, &directory_protocol, &policy_protocol, &inspection_protocol,
		&queue_protocol, &control_protocol };
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i]->name, name) == 0)
			return all[i];
	return NULL;
}
