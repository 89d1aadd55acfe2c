/*
 * status - what `matador status` is told
 *
 * One line an item, name=value pairs separated by tabs behind a word that says what it is: service, port, worker, warning.
 * A worker's line ends with the pairs that the worker itself reports.
 */
#include <ctype.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "master/service.h"

#define LINE_MAX_OCTETS 8000

static const char *
state_name(const struct process *process)
{
	switch (process->state) {
	case PROCESS_WAITING:
		return backoff_is_failing(&process->backoff) ? "failing" : "waiting";
	case PROCESS_STARTING:
		return "starting";
	case PROCESS_READY:
		return "ready";
	case PROCESS_DRAINING:
		return "draining";
	case PROCESS_LEAVING:
		return "leaving";
	case PROCESS_ENDED:
		return "ended";
	}
	return "unknown";
}

/* A tab or another control character in a value must not look like the next pair. */
static void
append_value(struct buffer *line, const char *name, size_t name_length, const char *value, size_t length)
{
	size_t start = line->length;

	buffer_append_byte(line, '\t');
	buffer_append(line, name, name_length);
	buffer_append_byte(line, '=');
	buffer_append(line, value, length);
	for (size_t i = start + 1; i < line->length; i++)
		if (iscntrl((unsigned char)line->data[i]))
			line->data[i] = ' ';
}

static void
append_pair(struct buffer *line, const char *name, const char *value)
{
	append_value(line, name, strlen(name), value, strlen(value));
}

static void
append_number(struct buffer *line, const char *name, int64_t number)
{
	buffer_printf(line, "\t%s=%lld", name, (long long)number);
}

static void
append_reported(struct buffer *line, const struct buffer *reported)
{
	const char *next = buffer_text(reported), *end = next + reported->length;

	while (next < end) {
		const char *line_end = memchr(next, '\n', (size_t)(end - next));
		const char *equals;

		if (line_end == NULL)
			line_end = end;
		equals = memchr(next, '=', (size_t)(line_end - next));
		if (equals != NULL)
			append_value(line, next, (size_t)(equals - next), equals + 1, (size_t)(line_end - equals - 1));
		next = line_end + 1;
	}
}

static void
tell_service(const struct service *service, struct control_caller *caller)
{
	struct buffer line = BUFFER_INITIALIZER(LINE_MAX_OCTETS);
	const char *title = service->settings->server.title;

	buffer_append_string(&line, "service");
	append_pair(&line, "state", service->stopping ? "stopping" : service->running ? "running" : "starting");
	append_pair(&line, "version", MATADOR_VERSION);
	append_pair(&line, "server", title == NULL ? "" : title);
	append_pair(&line, "configuration", service->options.folder);
	append_number(&line, "pid", getpid());
	append_number(&line, "uptime", (clock_monotonic_ms() - service->started_ms) / 1000);
	append_pair(&line, "separation", service->privileged ? "users" : "one user");
	control_line(caller, buffer_text(&line));
	buffer_free(&line);
}

static void
tell_port(const struct port *port, struct control_caller *caller)
{
	struct buffer line = BUFFER_INITIALIZER(LINE_MAX_OCTETS);

	buffer_append_string(&line, "port");
	append_pair(&line, "address", port->address);
	append_pair(&line, "purpose", ports_purpose_name(port->purpose));
	control_line(caller, buffer_text(&line));
	buffer_free(&line);
}

static void
tell_worker(const struct process *process, struct control_caller *caller)
{
	struct buffer line = BUFFER_INITIALIZER(LINE_MAX_OCTETS);
	bool there = process->state == PROCESS_READY || process->state == PROCESS_DRAINING;

	buffer_append_string(&line, "worker");
	append_pair(&line, "program", role_rows[process->role].name);
	append_number(&line, "instance", process->instance);
	append_number(&line, "pid", process->pid);
	append_pair(&line, "state", state_name(process));
	append_number(&line, "restarts", process->restarts);
	append_number(&line, "uptime", process->pid == 0 ? 0 : (clock_monotonic_ms() - process->started) / 1000);
	append_pair(&line, "jail", process->jail);
	if (process->last_end[0] != '\0')
		append_pair(&line, "last_end", process->last_end);
	if (there)
		append_reported(&line, &process->status_lines);
	control_line(caller, buffer_text(&line));
	buffer_free(&line);
}

static void
tell_warning(struct control_caller *caller, const char *text)
{
	struct buffer line = BUFFER_INITIALIZER(LINE_MAX_OCTETS);

	buffer_append_string(&line, "warning");
	append_pair(&line, "text", text);
	control_line(caller, buffer_text(&line));
	buffer_free(&line);
}

/* The value of a pair that a process reported, its length in *length_out; NULL when there is none. */
static const char *
reported_value(const struct process *process, const char *name, int *length_out)
{
	const char *next = buffer_text(&process->status_lines);
	size_t length = strlen(name);

	for (; next != NULL; next = strchr(next, '\n') == NULL ? NULL : strchr(next, '\n') + 1) {
		if (strncmp(next, name, length) != 0 || next[length] != '=')
			continue;
		*length_out = (int)strcspn(next + length + 1, "\n");
		return next + length + 1;
	}
	return NULL;
}

/* Warns about all that is not well; returns the exit status for it. */
static int
tell_warnings(const struct service *service, struct control_caller *caller)
{
	struct buffer text = BUFFER_INITIALIZER(LINE_MAX_OCTETS);
	bool unjailed = false;
	int status = service->stopping ? EX_TEMPFAIL : EX_OK;

	for (size_t i = 0; i < service->supervisor.process_count; i++) {
		const struct process *process = &service->supervisor.processes[i];
		const char *name = role_rows[process->role].name, *reason;
		int length;

		buffer_clear(&text);
		unjailed = unjailed || (process->state == PROCESS_READY && strcmp(process->jail, "none") == 0);
		if (process->state == PROCESS_READY && process->silent_rounds > 1)
			buffer_printf(&text, "%s (process %d) does not answer", name, process->pid);
		else if (process->state == PROCESS_READY && process->role == ROLE_QMGR &&
		    (reason = reported_value(process, "refuses_because", &length)) != NULL)
			buffer_printf(&text, "MAIL.BOX accepts nothing new: %.*s", length, reason);
		else if (!service->stopping && process->state != PROCESS_READY)
			buffer_printf(&text, "%s is not running (%s%s%s)", name, state_name(process),
			    process->last_end[0] == '\0' ? "" : "; last end: ", process->last_end);
		else
			continue;
		status = EX_SOFTWARE;
		tell_warning(caller, buffer_text(&text));
	}
	if (unjailed)
		tell_warning(caller, "this kernel has no landlock: the programs could open any file of their user");
	buffer_free(&text);
	return status;
}

void
service_tell_status(struct service *service, struct control_caller *caller)
{
	tell_service(service, caller);
	for (size_t i = 0; i < service->ports.count; i++)
		tell_port(&service->ports.list[i], caller);
	for (size_t i = 0; i < service->supervisor.process_count; i++)
		tell_worker(&service->supervisor.processes[i], caller);
	control_finish(caller, tell_warnings(service, caller), "", -1);
}
