/* crc32c - see crc32c.h */
#include "qmgr/store/crc32c.h"

#include <endian.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define POLYNOMIAL 0x82f63b78u	/* reflected */

static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void
table_make(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
		table[0][i] = crc;
	}
	for (unsigned i = 0; i < 256; i++)
		for (int slice = 1; slice < 8; slice++)
			table[slice][i] = table[slice - 1][i] >> 8 ^ table[0][table[slice - 1][i] & 0xff];
}

uint32_t
crc32c_software(uint32_t before, const void *data, size_t length)
{
	const uint8_t *next = data;
	uint32_t crc = ~before;

	pthread_once(&table_once, table_make);
	for (; length >= 8; length -= 8, next += 8) {
		uint64_t word;

		memcpy(&word, next, sizeof(word));
		word = le64toh(word) ^ crc;
		crc = 0;
		for (int slice = 0; slice < 8; slice++)
			crc ^= table[7 - slice][word >> 8 * slice & 0xff];
	}
	for (; length > 0; length--, next++)
		crc = crc >> 8 ^ table[0][(crc ^ *next) & 0xff];
	return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t
crc32c_hardware(uint32_t before, const void *data, size_t length)
{
	const uint8_t *next = data;
	uint64_t crc = ~before;

	for (; length >= 8; length -= 8, next += 8) {
		uint64_t word;

		memcpy(&word, next, sizeof(word));
		crc = __builtin_ia32_crc32di(crc, word);
	}
	for (; length > 0; length--, next++)
		crc = __builtin_ia32_crc32qi((uint32_t)crc, *next);
	return ~(uint32_t)crc;
}
#endif

uint32_t
crc32c(uint32_t before, const void *data, size_t length)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return crc32c_hardware(before, data, length);
#endif
	return crc32c_software(before, data, length);
}
