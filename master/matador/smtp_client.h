/* smtp_client - speaks SMTP over the submission socket, one step after the other */
#ifndef MASTER_MATADOR_SMTP_CLIENT_H
#define MASTER_MATADOR_SMTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"
#include "common/base/error.h"

struct smtp_client {
	int socket;			/* owned; -1: none */
	struct buffer input;
	int code;			/* of the last reply */
	struct buffer reply;		/* its lines, without code and line ends but separated by LF */
};

/* Connects to the UNIX socket at path. -1 and an error of kind ERROR_UNAVAILABLE when nobody listens. */
int smtp_client_connect(struct smtp_client *client, const char *path, struct error *error);
void smtp_client_close(struct smtp_client *client);

/* Sends text as it is; -1 and an error when the server is gone or does not read for too long. */
int smtp_client_send(struct smtp_client *client, const void *data, size_t length, struct error *error);
/* Reads one whole reply into code and reply. */
int smtp_client_read_reply(struct smtp_client *client, struct error *error);
/* Sends one command line (its end is added) and reads the reply. */
int smtp_client_command(struct smtp_client *client, struct error *error, const char *format, ...) PRINTF_LIKE(3, 4);

/* Whether the EHLO reply, which is the last one, offers this extension. */
bool smtp_client_offers(const struct smtp_client *client, const char *keyword);

#endif
