/* helo - what a client may call itself in HELO and EHLO */
#ifndef SMTPD_HELO_H
#define SMTPD_HELO_H

#include <stdbool.h>
#include <stddef.h>

/* Names that are no domain are taken (RFC 5321 4.1.4 wants that); what could confuse a log or a header is not. */
bool helo_is_acceptable(const char *helo, size_t length);

#endif
