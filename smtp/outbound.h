/* outbound - what all attempts of this process share, and the log line of one */
#ifndef SMTP_OUTBOUND_H
#define SMTP_OUTBOUND_H

#include <sys/queue.h>

#include "common/conf/settings.h"
#include "common/mail/delivery_job.h"
#include "smtp/destination_sessions.h"
#include "smtp/host_lookup.h"

struct event_base;

struct outbound {
	struct event_base *base;
	const struct settings *settings;	/* in force; each attempt holds those of its start */
	struct host_lookups *lookups;
	struct destination_sessions *sessions;
	TAILQ_HEAD(attempt_list, attempt) attempts;
	TAILQ_HEAD(call_out_list, call_out) call_outs;
	unsigned call_out_count;
	/* An attempt and its job are finished. */
	void (*finished)(void *context);
	void *context;
};

/* One use of a session, or one try to get a connection. */
struct use_of_host {
	const char *host;
	const union socket_address *address;
	unsigned delivered;		/* recipients */
	const char *reply;		/* the last one, or what went wrong */
	int64_t connect_ms;		/* -1: it did not connect, or had done so before */
	int64_t elapsed_ms;
};

/* Logs it, one line each. */
void outbound_log(const struct delivery_job *job, const struct use_of_host *use);

#endif
