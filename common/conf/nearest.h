/* nearest - which known word was probably meant */
#ifndef COMMON_CONF_NEAREST_H
#define COMMON_CONF_NEAREST_H

#include <stddef.h>

/* How many letters differ, are missing or too many; SIZE_MAX when a word is too long to be compared. */
size_t nearest_distance(const char *a, const char *b);

/* Whether a word of that distance is worth suggesting. */
int nearest_is_near(const char *word, size_t distance);

#endif
