/*
 * output - where the lines go: syslog, standard error or a file
 *
 * Owns:   the open log, and the lines that wait for it.
 * Bounds: OUTPUT_PENDING_MAX octets wait; then lines are dropped, counted, and the count is logged when there is room again.
 * Fails:  never. A log that cannot be opened or written is tried again; mail goes on.
 *
 * Lines made in one turn of the event loop are written together. Nothing here waits for a disk that is full or a daemon that
 * stalls.
 */
#ifndef MASTER_LOGGER_OUTPUT_H
#define MASTER_LOGGER_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/log/log.h"

#define OUTPUT_PENDING_MAX (4 * 1024 * 1024)

struct event_base;
struct output;

struct output_options {
	const char *to;		/* "syslog", "stderr", or a file's path; copied */
	const char *socket;	/* syslog's; copied */
	bool json;
	unsigned facility;	/* RFC 5424's number */
};

struct output *output_new(struct event_base *base, const struct output_options *options);
/* Writes what can be written at once, and closes. */
void output_free(struct output **output);

/* New settings; the file or socket is opened anew. A new place that cannot be opened leaves the old one in use. */
void output_configure(struct output *output, const struct output_options *options);
/* The file was rotated: opens it by its name again. */
void output_reopen(struct output *output);

/* One event of a program. */
void output_event(struct output *output, const char *program, uint32_t process, int64_t wall_ms,
    enum log_event_number event, const char *const *values, unsigned count);

/* Lines lost since the start. */
uint64_t output_dropped(const struct output *output);
/* Why nothing is written at present, or "". */
const char *output_failure(const struct output *output);

#endif
