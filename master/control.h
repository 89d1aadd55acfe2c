/*
 * control - the control socket and the submission socket beside it
 *
 * Owns:   both listening sockets and every connected control command.
 * Trusts: the kernel's word for who is calling, and nobody's packets. Only root and the owner of the spool command; anybody
 *         may submit, and such a connection is handed on unread.
 * Bounds: so many callers at a time, so many seconds for a request.
 */
#ifndef MASTER_CONTROL_H
#define MASTER_CONTROL_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/base/error.h"

#define CONTROL_CALLERS_MAX 64

struct control;
struct control_caller;
struct event_base;

struct control_events {
	/* A command of somebody who may command. Answered at once or later by control_finish(), exactly once. */
	void (*command)(void *context, struct control_caller *caller, const char *command, const char *argument);
	/* A local user's connection to submit mail, unread; it stays the caller's to close. */
	void (*submission)(void *context, uid_t uid, int socket);
};

/* Listens on path and on path.submit; owner is the owner of the spool. NULL and an error when it cannot. */
struct control *control_open(struct event_base *base, const char *path, uid_t owner, const struct control_events *events,
    void *context, struct error *error);
/* Nobody new is listened to, and the paths are gone; callers that are connected stay. */
void control_stop_listening(struct control *control);
/* Closes and removes the sockets; callers whose command is not finished are cut off. */
void control_close(struct control **control);

/* One line of results: name=value pairs separated by tabs, or free text. */
void control_line(struct control_caller *caller, const char *text);
/* The end: an exit status, a message for standard error ("" for none), and a descriptor or -1, which stays the caller's. */
void control_finish(struct control_caller *caller, int status, const char *text, int socket);

#endif
