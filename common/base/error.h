/*
 * error - what went wrong, as a value that travels up
 *
 * A function that can fail returns -1 (or NULL, or false) and fills the caller's struct error with what
 * it was doing, to what, and why. Callers add their own words with error_prefix(). Only the one who can
 * act logs it, answers a client with it, or exits. error_is_temporary() alone decides between 4xx and 5xx.
 */
#ifndef COMMON_BASE_ERROR_H
#define COMMON_BASE_ERROR_H

#include <stdbool.h>

#include "common/base/attributes.h"

enum error_kind {
	ERROR_NONE,
	ERROR_SYSTEM,		/* a system call failed; number is its errno */
	ERROR_INVALID,		/* input that cannot be right however often it is tried */
	ERROR_DAMAGED,		/* stored data that does not verify */
	ERROR_LIMIT,		/* a configured limit was reached; later may work */
	ERROR_UNAVAILABLE,	/* a peer or service is not there now */
};

struct error {
	enum error_kind kind;
	int number;		/* errno for ERROR_SYSTEM, else 0 */
	char text[512];		/* one line, no trailing period */
};

#define ERROR_INITIALIZER { ERROR_NONE, 0, "" }

/* Sets kind and text. Always returns -1, so that a caller can return it. A NULL error is ignored. */
int error_set(struct error *error, enum error_kind kind, const char *format, ...) PRINTF_LIKE(3, 4);

/* Sets a failed system call: the text, a colon and strerror(number). Always returns -1. */
int error_system(struct error *error, int number, const char *format, ...) PRINTF_LIKE(3, 4);

/* Puts "words: " before the text. Always returns -1. */
int error_prefix(struct error *error, const char *format, ...) PRINTF_LIKE(2, 3);

/* Whether the same request may succeed later without anyone changing it. */
bool error_is_temporary(const struct error *error);

#endif
