/* control_client - asks master over the control socket */
#ifndef MASTER_MATADOR_CONTROL_CLIENT_H
#define MASTER_MATADOR_CONTROL_CLIENT_H

#include "common/base/buffer.h"
#include "common/base/error.h"

struct control_reply {
	int status;			/* for the exit */
	struct buffer text;		/* a message for standard error */
	int socket;			/* a pair's end to the program asked for, or -1; the caller's */
};

/*
 * Sends one command and waits for its end; line is called for each result (may be NULL). -1 and an error of kind
 * ERROR_UNAVAILABLE when nobody listens: the service does not run. Otherwise reply is filled, its text is the caller's to free.
 */
int control_ask(const char *path, const char *command, const char *argument, void (*line)(void *context, const char *text),
    void *context, struct control_reply *reply, struct error *error);

/*
 * Asks for one command without an argument. EX_OK, and in *status_out the exit status that master told with the lines; or why there
 * is none, which was said on standard error: EX_NOPERM when the caller may not command, EX_UNAVAILABLE when the service does not run.
 */
int control_command(const char *folder, char **argv, const char *command, void (*line)(void *context, const char *text),
    void *context, int *status_out);

/*
 * The process that listens on the control socket, as a descriptor of pidfd_open(2) which is the caller's; -1 when nobody listens, or
 * the process cannot be seen from here.
 */
int control_open_master(const char *folder);

/* The caller's end out of the answer to "connect", whose text is freed. An exit status: EX_OK, or why not, which was said. */
int control_take_socket(char **argv, struct control_reply *reply, int *socket_out);

/*
 * Asks master for a pair to a program ("router"). An exit status: EX_OK and the caller's end, or why not, which was said on standard
 * error: EX_UNAVAILABLE when the service does not run, EX_TEMPFAIL when the program is not ready.
 */
int control_connect(const char *folder, char **argv, const char *program, int *socket_out);

#endif
