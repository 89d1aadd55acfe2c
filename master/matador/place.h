/*
 * place - where this instance is: the few paths that a command needs to reach it
 *
 * Taken from matador.conf without judging it: the service can be asked and stopped, and mail submitted, while a document has
 * a mistake, and by users who may not read every file of etc/.
 */
#ifndef MASTER_MATADOR_PLACE_H
#define MASTER_MATADOR_PLACE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"

struct place {
	char control_socket[PATH_MAX];
	char submit_socket[PATH_MAX];
	char spool_directory[PATH_MAX];
	char program_directory[PATH_MAX];
};

/* -1 and an error when matador.conf cannot be read. */
int place_find(const char *folder, struct place *place_out, struct error *error);

/*
 * The value of key outside any section of a document's text, or false. include is called with each file named by an include
 * meanwhile (may be NULL); when it returns true, value has been found there.
 */
bool place_scan(const char *text, const char *key, char *value, size_t size,
    bool (*include)(void *context, const char *file), void *context);

#endif
