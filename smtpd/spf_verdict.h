/* spf_verdict - the words of RFC 7208 section 2.6, as they stand in the log and in header fields */
#ifndef SMTPD_SPF_VERDICT_H
#define SMTPD_SPF_VERDICT_H

#include "common/ipc/policy.h"

const char *spf_verdict_word(enum spf_verdict verdict);

#endif
