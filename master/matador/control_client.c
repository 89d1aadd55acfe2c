/* control_client - see control_client.h */
#include "master/matador/control_client.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/ipc/control.h"
#include "master/matador/command.h"
#include "master/matador/place.h"

struct exchange {
	struct event_base *base;
	void (*line)(void *context, const char *text);
	void *context;
	struct control_reply *reply;
	bool answered;
	char reason[200];
};

static void
handle_line(void *context, struct channel *channel UNUSED, const struct control_line *message)
{
	struct exchange *exchange = context;

	if (exchange->line != NULL)
		exchange->line(exchange->context, message->text);
}

static void
handle_answer(void *context, struct channel *channel UNUSED, const struct control_answer *message)
{
	struct exchange *exchange = context;

	exchange->answered = true;
	exchange->reply->status = message->status;
	exchange->reply->socket = message->socket;
	buffer_append_string(&exchange->reply->text, message->text);
	event_base_loopbreak(exchange->base);
}

static void
handle_closed(void *context, struct channel *channel UNUSED, const char *reason)
{
	struct exchange *exchange = context;

	snprintf(exchange->reason, sizeof(exchange->reason), "%s", reason);
	event_base_loopbreak(exchange->base);
}

static int
connect_to(const char *path, struct error *error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int length = snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	int file, number;

	if (length < 0 || (size_t)length >= sizeof(address.sun_path))
		return error_set(error, ERROR_INVALID, "control_socket: %s is too long", path);
	file = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (file == -1)
		return error_system(error, errno, "making a socket");
	if (connect(file, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return file;
	number = errno;
	close(file);
	if (number == ENOENT || number == ECONNREFUSED)
		return error_set(error, ERROR_UNAVAILABLE, "the service does not run (nobody listens on %s)", path);
	return error_system(error, number, "%s", path);
}

int
control_ask(const char *path, const char *command, const char *argument, void (*line)(void *context, const char *text),
    void *context, struct control_reply *reply, struct error *error)
{
	static const struct control_handlers handlers = { .control_line = handle_line, .control_answer = handle_answer };
	static const struct channel_events events = { .closed = handle_closed, .ready = NULL };
	struct control_request request = { .command = command, .argument = argument == NULL ? "" : argument };
	struct exchange exchange = { .line = line, .context = context, .reply = reply };
	struct channel *channel;
	int file = connect_to(path, error);

	*reply = (struct control_reply){ .status = 0, .text = BUFFER_INITIALIZER(0), .socket = -1 };
	if (file == -1)
		return -1;
	exchange.base = event_base_new();
	channel = channel_open(exchange.base, file, &control_protocol, IPC_ASKS, &handlers, &events, &exchange);
	send_control_request(channel, &request);
	event_base_dispatch(exchange.base);
	channel_free(&channel);
	event_base_free(exchange.base);
	if (exchange.answered)
		return 0;
	buffer_free(&reply->text);
	return error_set(error, ERROR_SYSTEM, "master ended the conversation: %s", exchange.reason);
}

int
control_command(const char *folder, char **argv, const char *command, void (*line)(void *context, const char *text),
    void *context, int *status_out)
{
	struct error error = ERROR_INITIALIZER;
	struct control_reply reply;
	struct place place;
	int status = EX_OK;

	if (place_find(folder, &place, &error) == -1)
		return command_fail(argv, EX_CONFIG, "%s", error.text);
	if (control_ask(place.control_socket, command, NULL, line, context, &reply, &error) == -1)
		return command_fail(argv, error.kind == ERROR_UNAVAILABLE ? EX_UNAVAILABLE : EX_OSERR, "%s", error.text);
	if (reply.text.length > 0)
		status = command_fail(argv, reply.status, "%s", buffer_text(&reply.text));
	buffer_free(&reply.text);
	*status_out = reply.status;
	return status;
}

int
control_open_master(const char *folder)
{
	struct error ignored = ERROR_INITIALIZER;
	struct ucred listener;
	socklen_t length = sizeof(listener);
	struct place place;
	int socket, process = -1;

	if (place_find(folder, &place, &ignored) == -1 || (socket = connect_to(place.control_socket, &ignored)) == -1)
		return -1;
	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &listener, &length) == 0)
		process = (int)syscall(SYS_pidfd_open, listener.pid, 0);
	close(socket);
	return process;
}

int
control_take_socket(char **argv, struct control_reply *reply, int *socket_out)
{
	int status = EX_OK;

	if (reply->socket == -1)
		status = command_fail(argv, reply->status != EX_OK ? reply->status : EX_TEMPFAIL, "%s", reply->text.length > 0 ?
		    buffer_text(&reply->text) : "the connection that master made did not arrive: too many open files?");
	*socket_out = reply->socket;
	buffer_free(&reply->text);
	return status;
}

int
control_connect(const char *folder, char **argv, const char *program, int *socket_out)
{
	struct error error = ERROR_INITIALIZER;
	struct control_reply reply;
	struct place place;

	if (place_find(folder, &place, &error) == -1)
		return command_fail(argv, EX_CONFIG, "%s", error.text);
	if (control_ask(place.control_socket, "connect", program, NULL, NULL, &reply, &error) == -1)
		return command_fail(argv, EX_UNAVAILABLE, "%s", error.text);
	return control_take_socket(argv, &reply, socket_out);
}
