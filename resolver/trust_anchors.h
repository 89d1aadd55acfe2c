/*
 * trust_anchors - the DNSKEY and DS records of a file in zone form, one text each
 *
 * The file is the administrator's. What is neither is passed over; a record that cannot be read makes the whole file
 * useless, because half of somebody's anchors would validate half of the DNS.
 */
#ifndef RESOLVER_TRUST_ANCHORS_H
#define RESOLVER_TRUST_ANCHORS_H

#include <stddef.h>

#include "common/base/error.h"

struct trust_anchors {
	char **records;		/* owned */
	size_t count;
};

/* Reads an open file to its end. -1 and an error when it holds no trust anchor, or something that is no record. */
int trust_anchors_read(struct trust_anchors *anchors, int file, struct error *error);
void trust_anchors_free(struct trust_anchors *anchors);

#endif
