/*
 * hosts_file - /etc/hosts, read at the start and at each reload
 *
 * Lines that make no sense are passed over, as every reader of this file does.
 */
#ifndef RESOLVER_HOSTS_FILE_H
#define RESOLVER_HOSTS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/hash_table.h"

struct hosts_file;

struct hosts_address {
	uint8_t octets[16];
	size_t length;		/* 4 or 16 */
};

/* Reads an open file to its end; -1, or what cannot be read, is an empty one. */
struct hosts_file *hosts_file_read(int file);
/* The same from text, for tests. */
struct hosts_file *hosts_file_parse(const char *text, size_t length);
void hosts_file_free(struct hosts_file **hosts);

/* Fills up to room addresses of a name (any case, without a final dot). How many there were room for. */
size_t hosts_file_addresses(const struct hosts_file *hosts, const char *name, struct hosts_address *addresses, size_t room);
/* The first name that stands behind an address, or NULL. Borrowed. */
const char *hosts_file_name(const struct hosts_file *hosts, const struct hosts_address *address);

#endif
