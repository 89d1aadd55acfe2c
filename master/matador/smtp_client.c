/* smtp_client - see smtp_client.h */
#include "master/matador/smtp_client.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_MS (10 * 60 * 1000)	/* RFC 5321, 4.5.3.2.6: the longest of all waits */
#define INPUT_MAX 65536			/* octets of replies that are kept */

int
smtp_client_connect(struct smtp_client *client, const char *path, struct error *error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int length = snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);

	*client = (struct smtp_client){ .socket = -1, .input = BUFFER_INITIALIZER(INPUT_MAX),
		.reply = BUFFER_INITIALIZER(INPUT_MAX) };
	if (length < 0 || (size_t)length >= sizeof(address.sun_path))
		return error_set(error, ERROR_INVALID, "control_socket: %s is too long", path);
	client->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->socket == -1)
		return error_system(error, errno, "making a socket");
	if (connect(client->socket, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return 0;
	if (errno == ENOENT || errno == ECONNREFUSED)
		return error_set(error, ERROR_UNAVAILABLE, "the service does not run (nobody listens on %s)", path);
	return error_system(error, errno, "%s", path);
}

void
smtp_client_close(struct smtp_client *client)
{
	if (client->socket != -1)
		close(client->socket);
	client->socket = -1;
	buffer_free(&client->input);
	buffer_free(&client->reply);
}

static int
wait_for(const struct smtp_client *client, short events, struct error *error)
{
	struct pollfd waited = { .fd = client->socket, .events = events };
	int ready;

	do
		ready = poll(&waited, 1, PATIENCE_MS);
	while (ready == -1 && errno == EINTR);
	if (ready == 0)
		return error_set(error, ERROR_UNAVAILABLE, "the server does not answer");
	return ready == -1 ? error_system(error, errno, "waiting for the server") : 0;
}

int
smtp_client_send(struct smtp_client *client, const void *data, size_t length, struct error *error)
{
	const char *next = data;

	while (length > 0) {
		ssize_t sent = send(client->socket, next, length, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent == -1 && errno == EAGAIN) {
			if (wait_for(client, POLLOUT, error) == -1)
				return -1;
			continue;
		}
		if (sent == -1 && errno != EINTR)
			return error_system(error, errno, "sending to the server");
		if (sent > 0) {
			next += sent;
			length -= (size_t)sent;
		}
	}
	return 0;
}

/* One line without its end in front of the input, its length in *length_out; reads until there is one. */
static int
read_line(struct smtp_client *client, size_t *length_out, struct error *error)
{
	const char *newline;
	ssize_t got;
	char *room;

	while (client->input.length == 0 || (newline = memchr(client->input.data, '\n', client->input.length)) == NULL) {
		room = buffer_reserve(&client->input, 4096);
		if (room == NULL)
			return error_set(error, ERROR_INVALID, "the server's reply is too long");
		if (wait_for(client, POLLIN, error) == -1)
			return -1;
		got = recv(client->socket, room, 4096, MSG_DONTWAIT);
		if (got == 0)
			return error_set(error, ERROR_UNAVAILABLE, "the server closed the connection");
		if (got == -1 && errno != EAGAIN && errno != EINTR)
			return error_system(error, errno, "reading from the server");
		if (got > 0)
			buffer_commit(&client->input, (size_t)got);
	}
	*length_out = (size_t)(newline - client->input.data);
	return 0;
}

int
smtp_client_read_reply(struct smtp_client *client, struct error *error)
{
	bool more = true;

	buffer_clear(&client->reply);
	while (more) {
		const char *line;
		size_t length = 0, text_length;

		if (read_line(client, &length, error) == -1)
			return -1;
		line = client->input.data;
		if (length < 3 || !isdigit((unsigned char)line[0]) || !isdigit((unsigned char)line[1]) ||
		    !isdigit((unsigned char)line[2]))
			return error_set(error, ERROR_INVALID, "the server does not speak SMTP");
		client->code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + line[2] - '0';
		more = length > 3 && line[3] == '-';
		text_length = length > 4 ? length - 4 : 0;
		if (text_length > 0 && line[length - 1] == '\r')
			text_length--;
		if (client->reply.length > 0)
			buffer_append_byte(&client->reply, '\n');
		if (!buffer_append(&client->reply, line + (length > 4 ? 4 : length), text_length))
			return error_set(error, ERROR_INVALID, "the server's reply is too long");
		buffer_consume(&client->input, length + 1);
	}
	return 0;
}

int
smtp_client_command(struct smtp_client *client, struct error *error, const char *format, ...)
{
	va_list arguments;
	char line[4096];
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line) - 2, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= sizeof(line) - 2)
		return error_set(error, ERROR_INVALID, "a command for the server is too long");
	for (int i = 0; i < length; i++)
		if (iscntrl((unsigned char)line[i]))
			return error_set(error, ERROR_INVALID, "an address contains a control character");
	memcpy(line + length, "\r\n", 2);
	if (smtp_client_send(client, line, (size_t)length + 2, error) == -1)
		return -1;
	return smtp_client_read_reply(client, error);
}

bool
smtp_client_offers(const struct smtp_client *client, const char *keyword)
{
	size_t length = strlen(keyword);

	for (const char *line = strchr(buffer_text(&client->reply), '\n'); line != NULL; line = strchr(line + 1, '\n'))
		if (strncasecmp(line + 1, keyword, length) == 0 && strchr(" \n", line[1 + length]) != NULL)
			return true;
	return false;
}
