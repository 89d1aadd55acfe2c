/* crc32c - the Castagnoli checksum, by the processor's instruction where it has one */
#ifndef COMMON_BASE_CRC32C_H
#define COMMON_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of data behind what gave `before`; begin with 0. */
uint32_t crc32c(uint32_t before, const void *data, size_t length);
/* The same without the processor's help: for other processors, and for the test that compares them. */
uint32_t crc32c_software(uint32_t before, const void *data, size_t length);

#endif
