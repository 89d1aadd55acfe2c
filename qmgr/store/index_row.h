/*
 * index_row - keys and values of the index as octets
 *
 * Keys sort as octets like what they stand for. Decoding trusts nothing.
 */
#ifndef QMGR_STORE_INDEX_ROW_H
#define QMGR_STORE_INDEX_ROW_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/wire.h"
#include "qmgr/store/message.h"

#define INDEX_ROW_VERSION 1
#define INDEX_TIME_SIZE 8
#define INDEX_ID_SIZE 8
#define INDEX_DESTINATION_MAX 1200

/* A row of `message`. */
struct index_row {
	struct message *message;
	bool active;
	int64_t due;
	struct bytes destinations;	/* lent by the octets it was read from */
};

void index_time_key(int64_t time, uint8_t key[static INDEX_TIME_SIZE]);
int64_t index_time_of(const uint8_t *key);
void index_id_key(uint64_t id, uint8_t key[static INDEX_ID_SIZE]);
uint64_t index_id_of(const uint8_t *key);

/* Destinations stand one behind the other: INDEX_TIME_SIZE octets next attempt, text, NUL. Returns what is
 * behind the one at `at`, NULL when
 * there is none. */
const uint8_t *index_next_destination(const uint8_t *at, const uint8_t *end, const uint8_t **text_out, size_t *length_out);

void index_row_encode(const struct index_row *row, struct buffer *out);
/* row_out->message is the caller's. */
bool index_row_decode(uint64_t id, const void *data, size_t length, struct index_row *row_out);

#endif
