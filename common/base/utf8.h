/* utf8 - is this UTF-8 as RFC 3629 defines it? */
#ifndef COMMON_BASE_UTF8_H
#define COMMON_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* No overlong forms, no surrogates, nothing above U+10FFFF, no sequence cut short. */
bool utf8_is_valid(const char *text, size_t length);

#endif
