/* own_log - see own_log.h */
#include "master/own_log.h"

#include <unistd.h>

#include "common/ipc/log.h"
#include "common/log/log.h"
#include "master/switchboard.h"

static struct channel *own_channel;
static int next_logger = -1;	/* the other end of own_channel while there is nobody to give it to */

static void
own_channel_closed(void *context UNUSED, struct channel *channel UNUSED, const char *reason UNUSED)
{
	log_set_channel(NULL);
	channel_free(&own_channel);
}

static int
open_own_channel(struct event_base *base, int *other_out)
{
	static const struct log_handlers none = { .no_handler = 0 };
	static const struct channel_events events = { .closed = own_channel_closed, .ready = NULL };
	struct error error = ERROR_INITIALIZER;
	int ends[2];

	if (switchboard_make_pair(ends, &error) == -1) {
		log_event(LOG_NOTE, error.text);
		return -1;
	}
	own_channel = channel_open(base, ends[0], &log_protocol, IPC_ASKS, &none, &events, NULL);
	*other_out = ends[1];
	log_set_channel(own_channel);
	return 0;
}

static void
close_own_channel(void)
{
	log_set_channel(NULL);
	channel_free(&own_channel);
	if (next_logger != -1)
		close(next_logger);
	next_logger = -1;
}

void
own_log_connect(struct event_base *base, struct process *logger)
{
	if (next_logger == -1) {
		close_own_channel();
		if (open_own_channel(base, &next_logger) == -1)
			return;
	}
	switchboard_introduce(logger, ROLE_MASTER, 0, &log_protocol, IPC_SERVES, next_logger);
	close(next_logger);
	next_logger = -1;
}

void
own_log_disconnect(struct event_base *base, bool keep)
{
	if (keep && next_logger != -1)
		return;
	close_own_channel();
	if (keep)
		open_own_channel(base, &next_logger);
}

void
own_log_reopen(void)
{
	if (own_channel != NULL)
		send_log_reopen(own_channel, &(struct log_reopen){ });
}
