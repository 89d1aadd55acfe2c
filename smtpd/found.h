/* found - an answer to a fact, in words for people */
#ifndef SMTPD_FOUND_H
#define SMTPD_FOUND_H

#include "common/base/buffer.h"
#include "smtpd/facts.h"

struct rules;

/* Appends what the answer says, one line without its end: "host names: mx.example.net (confirmed)". */
void found_append(struct buffer *out, const struct rules *rules, const struct fact_answer *answer);

#endif
