/* path - the argument of MAIL and RCPT up to its parameters: "FROM:<a@b>", "TO:<a@b>" */
#ifndef SMTPD_PATH_H
#define SMTPD_PATH_H

#include <stddef.h>

#include "common/base/error.h"
#include "common/mail/address.h"

/*
 * *consumed_out is how many octets the word and the path took. Blanks between them are tolerated. UTF-8 is taken:
 * the caller knows whether it was asked for. -1 and an error whose text fits into a reply.
 */
int path_parse(const char *argument, size_t length, const char *word, unsigned flags, struct address *address_out,
    size_t *consumed_out, struct error *error);

#endif
