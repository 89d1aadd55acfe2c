/* route - the messages of common/ipc/route.def as structs, send functions and handlers */
#ifndef COMMON_IPC_ROUTE_H
#define COMMON_IPC_ROUTE_H

#define IPC_TABLE "common/ipc/route.def"
#define IPC_PROTOCOL route
#include "common/ipc/declare.h"

#define ROUTE_DRY_RUN 1		/* route_request.flags: tell every step */
#define REPORT_HEADER_MAX 65536	/* octets of the original header that a report quotes at most */

enum route_outcome {
	ROUTE_DELIVER,		/* by transport to next_hop */
	ROUTE_EXPAND,		/* a group: its members were told */
	ROUTE_FORWARD,		/* a forwarding address: it was told as the one member */
	ROUTE_FAIL,		/* a final failure: failure, status and text say which */
	ROUTE_DEFER,		/* cannot be decided now (directory or DNS away): ask again later */
};

enum report_kind { REPORT_FAILURE, REPORT_DELAY, REPORT_SUCCESS };

#endif
