/* output - see output.h */
#include "master/logger/output.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/base/attributes.h"
#include "common/base/clock.h"
#include "common/base/memory.h"

#define BATCH_DATAGRAMS 32
#define PIPE_STEP 4096			/* what a pipe that is ready takes without blocking */
#define BUSY_RETRY_MS 50		/* the log daemon or a pipe is full */
#define FAILURE_RETRY_MS 1000		/* the disk is full, the daemon is gone */
#define TIME_STAMP_SIZE 32

enum destination { TO_SYSLOG, TO_STANDARD_ERROR, TO_FILE };

struct output {
	char *to;			/* owned, like the next */
	char *socket_path;
	bool json;
	unsigned facility;
	enum destination destination;
	int descriptor;			/* -1: not open */
	size_t step;			/* octets given to one write */
	struct event *flush;
	bool flush_due;			/* flush is active or has a time */
	struct buffer pending;		/* whole lines, each with its end */
	size_t written;			/* octets of pending that are gone */
	uint64_t dropped;
	uint64_t dropped_untold;
	char failure[256];
};

/* ---- opening ---------------------------------------------------------------------------------- */

static enum destination
destination_of(const char *to)
{
	if (strcmp(to, "syslog") == 0)
		return TO_SYSLOG;
	return strcmp(to, "stderr") == 0 ? TO_STANDARD_ERROR : TO_FILE;
}

static int
open_syslog(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int descriptor, error;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (descriptor < 0)
		return -1;
	if (connect(descriptor, (struct sockaddr *)&address, sizeof(address)) == 0)
		return descriptor;
	error = errno;
	close(descriptor);
	errno = error;
	return -1;
}

static int
open_file(const char *path)
{
	/* O_NONBLOCK matters when somebody made a pipe of it. */
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0640);
}

/* The failure is told once, on standard error: the log itself is what failed. */
static void
set_failure(struct output *output, int number)
{
	const char *what = output->destination == TO_SYSLOG ? output->socket_path : output->to;

	if (output->failure[0] == '\0')
		fprintf(stderr, "logger: cannot write the log to %s: %s\n", what, strerror(number));
	snprintf(output->failure, sizeof(output->failure), "%s: %s", what, strerror(number));
}

static int
open_destination(const struct output *output)
{
	switch (output->destination) {
	case TO_SYSLOG:
		return open_syslog(output->socket_path);
	case TO_STANDARD_ERROR:
		return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	case TO_FILE:
		return open_file(output->to);
	}
	return -1;
}

static bool
output_open(struct output *output)
{
	struct stat status;
	int fresh = open_destination(output);

	if (fresh < 0) {
		set_failure(output, errno);
		return false;
	}
	if (output->descriptor >= 0)
		close(output->descriptor);
	output->descriptor = fresh;
	output->step = fstat(fresh, &status) == 0 && S_ISREG(status.st_mode) ? OUTPUT_PENDING_MAX : PIPE_STEP;
	return true;
}

/* ---- writing ---------------------------------------------------------------------------------- */

static void
flush_later(struct output *output, int64_t milliseconds)
{
	struct timeval delay = { milliseconds / 1000, milliseconds % 1000 * 1000 };

	output->flush_due = true;
	event_add(output->flush, &delay);
}

static void
flush_this_turn(struct output *output)
{
	if (output->flush_due)
		return;
	output->flush_due = true;
	event_active(output->flush, EV_TIMEOUT, 0);
}

/* The lines at the front as datagrams. The number sent, or -1 and errno. */
static int
send_datagrams(struct output *output, size_t *octets_out)
{
	struct mmsghdr messages[BATCH_DATAGRAMS] = { 0 };
	struct iovec vectors[BATCH_DATAGRAMS];
	char *next = output->pending.data + output->written;
	char *end = output->pending.data + output->pending.length;
	unsigned count = 0;
	int sent, i;

	for (; next < end && count < BATCH_DATAGRAMS; count++) {
		size_t length = (size_t)((char *)memchr(next, '\n', (size_t)(end - next)) - next);

		vectors[count] = (struct iovec){ next, length };
		messages[count].msg_hdr.msg_iov = &vectors[count];
		messages[count].msg_hdr.msg_iovlen = 1;
		next += length + 1;
	}
	sent = sendmmsg(output->descriptor, messages, count, MSG_DONTWAIT | MSG_NOSIGNAL);
	*octets_out = 0;
	for (i = 0; i < sent; i++)
		*octets_out += vectors[i].iov_len + 1;
	/* A line that no datagram can hold must not stop those behind it. */
	if (sent < 0 && errno == EMSGSIZE) {
		output->dropped++;
		output->dropped_untold++;
		*octets_out = vectors[0].iov_len + 1;
		return 0;
	}
	return sent;
}

static int
write_octets(struct output *output, size_t *octets_out)
{
	struct pollfd ready = { .fd = output->descriptor, .events = POLLOUT };
	size_t length = output->pending.length - output->written;
	ssize_t written;

	/* Standard error is shared with others and stays blocking: it is asked before each small write. */
	if (poll(&ready, 1, 0) != 1) {
		errno = EAGAIN;
		return -1;
	}
	written = write(output->descriptor, output->pending.data + output->written,
	    length < output->step ? length : output->step);
	*octets_out = written < 0 ? 0 : (size_t)written;
	return written < 0 ? -1 : 0;
}

static void
write_failed(struct output *output, int number)
{
	if (number == EAGAIN || number == ENOBUFS) {
		flush_later(output, BUSY_RETRY_MS);
		return;
	}
	set_failure(output, number);
	if (output->destination == TO_SYSLOG) {
		close(output->descriptor);
		output->descriptor = -1;
	}
	flush_later(output, FAILURE_RETRY_MS);
}

static void
forget_written(struct output *output)
{
	/* Moving the rest is worth it only when much went. */
	if (output->written == output->pending.length || output->written > OUTPUT_PENDING_MAX / 2) {
		buffer_consume(&output->pending, output->written);
		output->written = 0;
	}
}

static void
write_pending(struct output *output)
{
	bool reconnected = false;

	while (output->written < output->pending.length) {
		size_t octets = 0;
		int result;

		if (output->descriptor < 0 && !output_open(output)) {
			flush_later(output, FAILURE_RETRY_MS);
			break;
		}
		result = output->destination == TO_SYSLOG ? send_datagrams(output, &octets) :
		    write_octets(output, &octets);
		if (result < 0 && errno == EINTR)
			continue;
		if (result < 0 && output->destination == TO_SYSLOG && !reconnected &&
		    (errno == ECONNREFUSED || errno == ECONNRESET || errno == ENOTCONN || errno == EPIPE)) {
			/* The log daemon was restarted: its new socket has the same name. */
			reconnected = true;
			close(output->descriptor);
			output->descriptor = -1;
			continue;
		}
		if (result < 0) {
			write_failed(output, errno);
			break;
		}
		output->written += octets;
		output->failure[0] = '\0';
	}
	forget_written(output);
}

/* ---- lines ------------------------------------------------------------------------------------ */

static unsigned
syslog_severity(enum log_severity severity)
{
	static const unsigned numbers[] = { [LOG_SEVERITY_ERROR] = 3, [LOG_SEVERITY_WARNING] = 4,
		[LOG_SEVERITY_NOTICE] = 5, [LOG_SEVERITY_INFO] = 6, [LOG_SEVERITY_DEBUG] = 7 };

	return numbers[severity];
}

/* RFC 3164: English, local time. */
static void
format_syslog_time(int64_t wall_ms, char text[static TIME_STAMP_SIZE])
{
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct",
		"Nov", "Dec" };
	time_t seconds = wall_ms / 1000;
	struct tm local = { 0 };

	localtime_r(&seconds, &local);
	snprintf(text, TIME_STAMP_SIZE, "%s %2d %02d:%02d:%02d", months[local.tm_mon % 12], local.tm_mday % 32,
	    local.tm_hour % 24, local.tm_min % 60, local.tm_sec % 61);
}

static void
append_line(struct output *output, struct buffer *line, const char *program, uint32_t process, int64_t wall_ms,
    enum log_event_number event, const char *const *values, unsigned count)
{
	char time[TIME_STAMP_SIZE];

	if (output->destination == TO_SYSLOG) {
		format_syslog_time(wall_ms, time);
		buffer_printf(line, "<%u>%s matador/%s[%u]: ", output->facility * 8 +
		    syslog_severity(log_event_rows[event].severity), time, program, process);
	}
	if (output->json) {
		log_format_json(line, event, values, count, program, process, wall_ms);
	} else {
		if (output->destination != TO_SYSLOG) {
			clock_format_rfc3339_ms(wall_ms, time);
			buffer_printf(line, "%s %s[%u]: ", time, program, process);
		}
		log_format_text(line, event, values, count);
	}
	buffer_append_byte(line, '\n');
}

static bool
keep_line(struct output *output, const char *program, uint32_t process, int64_t wall_ms,
    enum log_event_number event, const char *const *values, unsigned count)
{
	static struct buffer line = BUFFER_INITIALIZER(0);

	buffer_clear(&line);
	append_line(output, &line, program, process, wall_ms, event, values, count);
	return buffer_append(&output->pending, line.data, line.length);
}

void
output_event(struct output *output, const char *program, uint32_t process, int64_t wall_ms,
    enum log_event_number event, const char *const *values, unsigned count)
{
	char dropped[32];

	if (output->dropped_untold > 0) {
		snprintf(dropped, sizeof(dropped), "%" PRIu64, output->dropped_untold);
		if (keep_line(output, "logger", (uint32_t)getpid(), clock_wall_ms(), LOG_EVENTS_DROPPED,
		    LOG_VALUES(dropped, "logger"), 2))
			output->dropped_untold = 0;
	}
	if (output->dropped_untold > 0 ||
	    !keep_line(output, program, process, wall_ms, event, values, count)) {
		output->dropped++;
		output->dropped_untold++;
	}
	flush_this_turn(output);
}

/* ---- life ------------------------------------------------------------------------------------- */

static void
flush_cb(UNUSED evutil_socket_t descriptor, UNUSED short what, void *argument)
{
	struct output *output = argument;

	output->flush_due = false;
	write_pending(output);
}

static void
take_options(struct output *output, const struct output_options *options)
{
	free(output->to);
	free(output->socket_path);
	output->to = memory_copy_string(options->to);
	output->socket_path = memory_copy_string(options->socket);
	output->json = options->json;
	output->facility = options->facility;
	output->destination = destination_of(options->to);
}

struct output *
output_new(struct event_base *base, const struct output_options *options)
{
	struct output *output = memory_new(1, sizeof(*output));

	output->descriptor = -1;
	output->flush = event_new(base, -1, 0, flush_cb, output);
	buffer_init(&output->pending, OUTPUT_PENDING_MAX);
	take_options(output, options);
	output_open(output);
	return output;
}

void
output_free(struct output **pointer)
{
	struct output *output = *pointer;

	*pointer = NULL;
	if (output == NULL)
		return;
	write_pending(output);
	event_free(output->flush);
	if (output->descriptor >= 0)
		close(output->descriptor);
	buffer_free(&output->pending);
	free(output->to);
	free(output->socket_path);
	free(output);
}

/* Lines kept for one kind of place do not suit another: they go where they were meant to, or are counted as lost. */
static void
settle_pending(struct output *output)
{
	const char *next = buffer_text(&output->pending) + output->written;

	for (next = strchr(next, '\n'); next != NULL; next = strchr(next + 1, '\n')) {
		output->dropped++;
		output->dropped_untold++;
	}
	buffer_clear(&output->pending);
	output->written = 0;
}

void
output_configure(struct output *output, const struct output_options *options)
{
	struct output_options old = { output->to, output->socket_path, output->json, output->facility };
	bool moved = strcmp(options->to, output->to) != 0 || strcmp(options->socket, output->socket_path) != 0;

	write_pending(output);
	if (!moved) {
		take_options(output, options);
		output_reopen(output);
		return;
	}
	old.to = memory_copy_string(old.to);
	old.socket = memory_copy_string(old.socket);
	take_options(output, options);
	if (output_open(output)) {
		settle_pending(output);
	} else if (output->descriptor >= 0) {
		output->failure[0] = '\0';
		take_options(output, &old);
	}
	free((char *)(uintptr_t)old.to);
	free((char *)(uintptr_t)old.socket);
}

void
output_reopen(struct output *output)
{
	if (output->destination == TO_STANDARD_ERROR)
		return;
	write_pending(output);
	output_open(output);
}

uint64_t
output_dropped(const struct output *output)
{
	return output->dropped;
}

const char *
output_failure(const struct output *output)
{
	return output->failure;
}
