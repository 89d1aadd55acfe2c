/*
 * voice - what a worker writes to standard error, when nobody else would hear it
 *
 * A worker logs through logger; standard error has what comes before that, and the last words of a crash. Without a terminal
 * master reads it and logs each line, up to a limit.
 */
#ifndef MASTER_VOICE_H
#define MASTER_VOICE_H

#include <sys/types.h>

struct event_base;
struct voice;

/* *write_end_out becomes the standard error of program's next process; the caller closes it. NULL when there is no pipe to be had. */
struct voice *voice_open(struct event_base *base, const char *program, int *write_end_out);
void voice_set_process(struct voice *voice, pid_t process);
/* Logs what is left and frees. NULL is accepted, the pointer is cleared. */
void voice_close(struct voice **voice);

#endif
