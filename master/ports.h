/*
 * ports - the listening sockets, bound by master and kept open while workers come and go
 *
 * Owns: every listening TCP socket. A reload binds all that is new before it drops anything.
 */
#ifndef MASTER_PORTS_H
#define MASTER_PORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/conf/settings.h"
#include "common/worker/worker.h"

#define PORT_ADDRESS_SIZE 64

struct port {
	enum listen_purpose purpose;
	char address[PORT_ADDRESS_SIZE];	/* "0.0.0.0:25", "[::]:25" */
	int socket;
	bool fresh;				/* bound by the last ports_bind() */
};

struct ports {
	struct port *list;	/* owned array */
	size_t count;
};

/* The addresses that the settings ask for, not bound (socket -1). The caller frees them with ports_close(). */
int ports_wanted(const struct settings *settings, struct ports *wanted, struct error *error);

/*
 * Binds what wanted has and in_force has not; what both have moves from in_force. Then wanted is complete, and in_force holds
 * what is not wanted any more. -1 and an error when something cannot be bound: then both are as before. An IPv6 address is
 * left out of wanted where the host has no IPv6, with a line in notes.
 */
int ports_bind(struct ports *wanted, struct ports *in_force, struct buffer *notes, struct error *error);

void ports_close(struct ports *ports);

const char *ports_purpose_name(enum listen_purpose purpose);

#endif
