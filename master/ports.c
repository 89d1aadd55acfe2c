/* ports - see ports.h */
#include "master/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/memory.h"

#define BACKLOG 1024

const char *
ports_purpose_name(enum listen_purpose purpose)
{
	switch (purpose) {
	case LISTEN_SMTP:
		return "smtp";
	case LISTEN_SMTPS:
		return "smtps";
	case LISTEN_SUBMISSION:
		return "submission";
	}
	return "unknown";
}

void
ports_close(struct ports *ports)
{
	for (size_t i = 0; i < ports->count; i++)
		if (ports->list[i].socket != -1)
			close(ports->list[i].socket);
	free(ports->list);
	*ports = (struct ports){ NULL, 0 };
}

/* ---- what is wanted ---- */

static void
add_port(struct ports *ports, enum listen_purpose purpose, const char *host, unsigned number)
{
	struct port port = { .purpose = purpose, .socket = -1 };

	snprintf(port.address, sizeof(port.address), "%s:%u", host, number);
	for (size_t i = 0; i < ports->count; i++)
		if (strcmp(ports->list[i].address, port.address) == 0)
			return;
	ports->list = memory_resize(ports->list, ports->count + 1, sizeof(*ports->list));
	ports->list[ports->count++] = port;
}

static void
add_listener(struct ports *ports, const struct settings *settings, enum listen_purpose purpose, unsigned number)
{
	const struct setting *addresses = &settings->matador.listen_addresses;

	for (size_t i = 0; i < addresses->count; i++) {
		if (strcmp(addresses->items[i].text, "*") != 0) {
			add_port(ports, purpose, addresses->items[i].text, number);
			continue;
		}
		add_port(ports, purpose, "0.0.0.0", number);
		add_port(ports, purpose, "[::]", number);
	}
}

int
ports_wanted(const struct settings *settings, struct ports *wanted, struct error *error)
{
	const struct document_server *server = &settings->server;

	*wanted = (struct ports){ NULL, 0 };
	if (server->smtp_listener_task.number == 0 || server->smtp_inbound_tcp_status.number == 0)
		return 0;
	if (server->smtp_inbound_tcp_port.number < 1 || server->smtp_inbound_tcp_port.number > UINT16_MAX)
		return error_set(error, ERROR_INVALID, "%lld is not a port", (long long)server->smtp_inbound_tcp_port.number);
	add_listener(wanted, settings, LISTEN_SMTP, (unsigned)server->smtp_inbound_tcp_port.number);
	return 0;
}

/* ---- binding ---- */

/* "192.0.2.1:25" or "[2001:db8::1]:25" as a socket address; 0 when it is neither. */
static socklen_t
socket_address(const char *text, struct sockaddr_storage *address)
{
	struct sockaddr_in *four = (struct sockaddr_in *)address;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
	const char *colon = strrchr(text, ':');
	bool bracketed = text[0] == '[';
	char host[PORT_ADDRESS_SIZE];
	size_t length;
	in_port_t port;

	memset(address, 0, sizeof(*address));
	if (colon == NULL || (bracketed && (colon == text || colon[-1] != ']')))
		return 0;
	length = (size_t)(colon - text) - (bracketed ? 2 : 0);
	memcpy(host, text + (bracketed ? 1 : 0), length);
	host[length] = '\0';
	port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	if (bracketed && inet_pton(AF_INET6, host, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		six->sin6_port = port;
		return sizeof(*six);
	}
	if (!bracketed && inet_pton(AF_INET, host, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = port;
		return sizeof(*four);
	}
	return 0;
}

static const char *
binding_advice(int number)
{
	switch (number) {
	case EACCES:
		return " (ports below 1024 need root: start as root, or set tcp_port above 1023)";
	case EADDRINUSE:
		return " (another program listens there: stop it, or change tcp_port or listen_addresses)";
	case EADDRNOTAVAIL:
		return " (this host does not have that address: see listen_addresses)";
	default:
		return "";
	}
}

/* Binds one port. 1: done; 0: this host has no IPv6; -1: an error. */
static int
bind_port(struct port *port, struct error *error)
{
	struct sockaddr_storage address;
	socklen_t length = socket_address(port->address, &address);
	bool everywhere = strncmp(port->address, "[::]", 4) == 0;
	int on = 1, file, number;

	if (length == 0)
		return error_set(error, ERROR_INVALID, "%s is not an address to listen on", port->address);
	file = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (file == -1 && errno == EAFNOSUPPORT && everywhere)
		return 0;
	if (file == -1)
		return error_system(error, errno, "making a socket for %s", port->address);
	setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (address.ss_family == AF_INET6)
		setsockopt(file, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(file, (struct sockaddr *)&address, length) == -1 || listen(file, BACKLOG) == -1) {
		number = errno;
		close(file);
		if (number == EADDRNOTAVAIL && everywhere)
			return 0;
		return error_system(error, number, "listening on %s%s", port->address, binding_advice(number));
	}
	port->socket = file;
	port->fresh = true;
	return 1;
}

static struct port *
find_port(struct ports *ports, const struct port *like)
{
	for (size_t i = 0; i < ports->count; i++)
		if (ports->list[i].purpose == like->purpose && strcmp(ports->list[i].address, like->address) == 0)
			return &ports->list[i];
	return NULL;
}

static void
remove_port(struct ports *ports, struct port *port)
{
	size_t index = (size_t)(port - ports->list);

	memmove(port, port + 1, (ports->count - index - 1) * sizeof(*port));
	ports->count--;
}

static void
move_shared_ports(struct ports *wanted, struct ports *in_force)
{
	for (size_t i = 0; i < wanted->count; i++) {
		struct port *old = find_port(in_force, &wanted->list[i]);

		if (old == NULL)
			continue;
		wanted->list[i].socket = old->socket;
		remove_port(in_force, old);
	}
}

int
ports_bind(struct ports *wanted, struct ports *in_force, struct buffer *notes, struct error *error)
{
	for (size_t i = 0; i < wanted->count;) {
		struct port *port = &wanted->list[i];
		int bound = find_port(in_force, port) != NULL ? 1 : bind_port(port, error);

		if (bound == 1) {
			i++;
			continue;
		}
		if (bound == 0) {
			buffer_printf(notes, "this host has no IPv6: not listening on %s\n", port->address);
			remove_port(wanted, port);
			continue;
		}
		for (size_t j = 0; j < wanted->count; j++)
			if (wanted->list[j].socket != -1) {
				close(wanted->list[j].socket);
				wanted->list[j].socket = -1;
			}
		return -1;
	}
	move_shared_ports(wanted, in_force);
	return 0;
}
