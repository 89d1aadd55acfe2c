/* capabilities - what a host offers in its reply to EHLO or LHLO, and nothing else */
#ifndef SMTP_CAPABILITIES_H
#define SMTP_CAPABILITIES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/net/smtp_reply.h"

struct capabilities {
	bool pipelining;
	bool size;
	uint64_t size_limit;	/* 0: none is named */
	bool eight_bit_mime;
	bool smtputf8;
	bool dsn;
	bool chunking;
};

/* Reads the lines behind the first. Unknown and malformed ones count as not offered. */
void capabilities_read(const struct smtp_reply *reply, struct capabilities *capabilities_out);

#endif
