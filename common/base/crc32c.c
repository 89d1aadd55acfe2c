/* crc32c - see crc32c.h */
#include "common/base/crc32c.h"

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
#define LANE ((size_t)1024)	/* octets of each of three lanes: the instruction takes three steps, but begins one in each */

static uint32_t past_one_lane, past_two_lanes;	/* x^(8 LANE - 33) and x^(16 LANE - 33) modulo the polynomial */
static pthread_once_t lanes_once = PTHREAD_ONCE_INIT;

static uint32_t
power_of_x(size_t power)
{
	uint32_t remainder = 0x80000000u;

	for (; power > 0; power--)
		remainder = remainder & 1 ? remainder >> 1 ^ POLYNOMIAL : remainder >> 1;
	return remainder;
}

static void
lanes_make(void)
{
	past_one_lane = power_of_x(8 * LANE - 33);
	past_two_lanes = power_of_x(16 * LANE - 33);
}

static inline uint64_t
word_at(const uint8_t *octets)
{
	uint64_t word;

	memcpy(&word, octets, sizeof(word));
	return word;
}

/* A product without carries, of 63 bits: the CRC instruction reduces it and multiplies it by x^33. */
__attribute__((target("sse4.2,pclmul"))) static uint64_t
multiply(uint64_t crc, uint32_t power)
{
	typedef long long vector __attribute__((vector_size(16)));
	vector product = __builtin_ia32_pclmulqdq128((vector){ (long long)crc, 0 }, (vector){ (long long)power, 0 }, 0);

	return (uint64_t)product[0];
}

/* Three lanes behind one another, summed at the same time and put together. */
__attribute__((target("sse4.2,pclmul"))) static uint64_t
crc32c_lanes(uint64_t crc, const uint8_t *next)
{
	uint64_t second = 0, third = 0;

	for (const uint8_t *end = next + LANE; next < end; next += 8) {
		crc = __builtin_ia32_crc32di(crc, word_at(next));
		second = __builtin_ia32_crc32di(second, word_at(next + LANE));
		third = __builtin_ia32_crc32di(third, word_at(next + 2 * LANE));
	}
	return third ^ __builtin_ia32_crc32di(0, multiply(crc, past_two_lanes) ^ multiply(second, past_one_lane));
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t
crc32c_hardware(uint32_t before, const void *data, size_t length)
{
	const uint8_t *next = data;
	uint64_t crc = ~before;

	pthread_once(&lanes_once, lanes_make);
	for (; length >= 3 * LANE; length -= 3 * LANE, next += 3 * LANE)
		crc = crc32c_lanes(crc, next);
	for (; length >= 8; length -= 8, next += 8)
		crc = __builtin_ia32_crc32di(crc, word_at(next));
	for (; length > 0; length--, next++)
		crc = __builtin_ia32_crc32qi((uint32_t)crc, *next);
	return ~(uint32_t)crc;
}
#endif

uint32_t
crc32c(uint32_t before, const void *data, size_t length)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))
		return crc32c_hardware(before, data, length);
#endif
	return crc32c_software(before, data, length);
}
