/*
 * notes_name - hierarchical names: "CN=Jane Doe/OU=Sales/O=Acme" and "Jane Doe/Sales/Acme" are one name
 *
 * Names compare without case, with runs of blanks as one, in either form. Bytes beyond ASCII are compared as they
 * are.
 */
#ifndef COMMON_MAIL_NOTES_NAME_H
#define COMMON_MAIL_NOTES_NAME_H

#include <stdbool.h>
#include <stddef.h>

#define NOTES_NAME_MAX 1024	/* octets of a name, with its NUL */

/* The abbreviated form, "Jane Doe/Sales/Acme", blanks tidied. False when name is too long. */
bool notes_name_abbreviate(const char *name, char out[static NOTES_NAME_MAX]);

/*
 * The canonical form, "CN=Jane Doe/OU=Sales/O=Acme"; a name of one part stays as it is. False when it does not
 * fit.
 */
bool notes_name_canonicalize(const char *name, char out[static NOTES_NAME_MAX]);

/* "Jane Doe": the first part. False when name is too long. */
bool notes_name_common(const char *name, char out[static NOTES_NAME_MAX]);

/* The abbreviated form in lower case: equal names have equal keys. False when name is too long. */
bool notes_name_key(const char *name, char out[static NOTES_NAME_MAX]);

bool notes_name_is_hierarchical(const char *name);
bool notes_name_equal(const char *a, const char *b);

/*
 * The key of a local part or name in which '_' and '.' stand for a blank: "Jane_Doe", "jane.doe" and "Jane Doe"
 * have one.
 */
bool notes_name_loose_key(const char *name, char out[static NOTES_NAME_MAX]);

#endif
