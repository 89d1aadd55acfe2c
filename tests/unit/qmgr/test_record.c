/* test_record - batches as octets, and octets that are none */
#include "tests/unit/qmgr/store_support.h"

#include "common/base/crc32c.h"
#include "qmgr/store/record.h"

#define MAILBOX 0x1122334455667788u

/* A record of an ADD with content, an UPDATE, a HOLD and a DONE. */
static struct buffer
sample(void)
{
	struct buffer out = BUFFER_INITIALIZER(0);
	struct store_content *content = support_content(7, 100);
	struct record_head head = { .count = 5, .sequence = 12, .serial = 3, .flushed = 11, .mailbox = MAILBOX };
	bool chosen[2] = { false, true };
	struct envelope envelope;

	buffer_reserve(&out, RECORD_HEAD_SIZE);
	memset(out.data, 0, RECORD_HEAD_SIZE);
	buffer_commit(&out, RECORD_HEAD_SIZE);
	support_envelope(&envelope, 7, 2);
	assert_true(record_put_entry(&out, ENTRY_ADD, 0, 7, &envelope, NULL, content->length));
	record_entry_set_crc(out.data + RECORD_HEAD_SIZE, crc32c(0, content->data, content->length));
	assert_true(record_put_entry(&out, ENTRY_UPDATE, 0, 7, &envelope, chosen, 0));
	assert_true(record_put_entry(&out, ENTRY_HOLD, ENTRY_HELD, 7, NULL, NULL, 0));
	assert_true(record_put_entry(&out, ENTRY_ADD, ENTRY_FILE, 8, &envelope, NULL, 1u << 30));
	assert_true(record_put_entry(&out, ENTRY_DONE, 0, 9, NULL, NULL, 0));
	envelope_free(&envelope);
	head.entries_length = (uint32_t)(out.length - RECORD_HEAD_SIZE);
	head.length = (uint32_t)(out.length + content->length);
	record_seal(out.data, &head);
	buffer_append(&out, content->data, content->length);
	store_content_release(&content);
	return out;
}

static void
a_record_reads_back_as_it_was_written(void **state)
{
	struct buffer record = sample();
	struct record_reader reader;
	struct record_entry entry;
	struct record_head head;
	struct envelope envelope;
	struct error error;

	(void)state;
	assert_true(record_is_good(record.data, record.length, MAILBOX, 3, &head));
	assert_int_equal(head.sequence, 12);
	assert_int_equal(head.flushed, 11);
	assert_int_equal(head.length, record.length);
	record_reader_init(&reader, record.data, &head);
	assert_true(record_next_entry(&reader, &entry));
	assert_int_equal(entry.kind, ENTRY_ADD);
	assert_int_equal(entry.content_length, 100);
	assert_int_equal(entry.content_offset, record.length - 100);
	assert_int_equal(envelope_decode(entry.envelope, entry.envelope_length, &envelope, &error), 0);
	assert_int_equal(envelope.recipient_count, 2);
	envelope_free(&envelope);
	assert_true(record_next_entry(&reader, &entry));
	assert_int_equal(entry.kind, ENTRY_UPDATE);
	assert_int_equal(envelope_decode(entry.envelope, entry.envelope_length, &envelope, &error), 0);
	assert_int_equal(envelope.recipient_count, 1);
	assert_int_equal(envelope.recipients[0].number, 1);
	envelope_free(&envelope);
	assert_true(record_next_entry(&reader, &entry));
	assert_int_equal(entry.kind, ENTRY_HOLD);
	assert_int_equal(entry.flags, ENTRY_HELD);
	assert_null(entry.envelope);
	assert_true(record_next_entry(&reader, &entry));
	assert_int_equal(entry.flags, ENTRY_FILE);
	assert_int_equal(entry.content_length, 1u << 30);
	assert_true(record_next_entry(&reader, &entry));
	assert_int_equal(entry.kind, ENTRY_DONE);
	assert_int_equal(entry.id, 9);
	assert_false(record_next_entry(&reader, &entry));
	assert_false(reader.failed);
	buffer_free(&record);
}

static void
every_flipped_bit_is_noticed(void **state)
{
	struct buffer record = sample();
	struct record_head head;

	(void)state;
	for (size_t i = 0; i < record.length * 8; i++) {
		record.data[i / 8] ^= (char)(1 << i % 8);
		assert_false(record_is_good(record.data, record.length, MAILBOX, 3, &head));
		record.data[i / 8] ^= (char)(1 << i % 8);
	}
	assert_true(record_is_good(record.data, record.length, MAILBOX, 3, &head));
	buffer_free(&record);
}

static void
a_record_cut_short_anywhere_is_none(void **state)
{
	struct buffer record = sample();
	struct record_head head;

	(void)state;
	for (size_t length = 0; length < record.length; length++) {
		char *cut = memory_copy(record.data, length);

		assert_false(record_is_good(cut, length, MAILBOX, 3, &head));
		free(cut);
	}
	buffer_free(&record);
}

static void
a_record_of_another_mailbox_or_use_of_the_segment_does_not_count(void **state)
{
	struct buffer record = sample();
	struct record_head head;

	(void)state;
	assert_false(record_is_good(record.data, record.length, MAILBOX + 1, 3, &head));
	assert_false(record_is_good(record.data, record.length, MAILBOX, 4, &head));
	buffer_free(&record);
}

/* Seals whatever stands in the entries, so that only their structure can be wrong. */
static bool
sealed_is_good(char *record, uint32_t entries_length, uint32_t length, uint16_t count)
{
	struct record_head head = { .length = length, .entries_length = entries_length, .count = count, .sequence = 1,
		.serial = 3, .mailbox = MAILBOX };

	record_seal(record, &head);
	return record_is_good(record, length, MAILBOX, 3, &head);
}

static void
a_right_checksum_does_not_excuse_a_wrong_structure(void **state)
{
	char record[RECORD_HEAD_SIZE + 64] = { 0 };
	char *entry = record + RECORD_HEAD_SIZE;

	(void)state;
	entry[0] = ENTRY_DONE;
	entry[4] = 16;
	assert_true(sealed_is_good(record, 16, RECORD_HEAD_SIZE + 16, 1));
	assert_false(sealed_is_good(record, 16, RECORD_HEAD_SIZE + 16, 2));
	assert_false(sealed_is_good(record, 16, RECORD_HEAD_SIZE + 17, 1));
	assert_false(sealed_is_good(record, 17, RECORD_HEAD_SIZE + 17, 1));
	entry[4] = 15;
	assert_false(sealed_is_good(record, 16, RECORD_HEAD_SIZE + 16, 1));
	entry[4] = 17;
	assert_false(sealed_is_good(record, 16, RECORD_HEAD_SIZE + 16, 1));
	entry[4] = 16;
	entry[0] = 5;
	assert_false(sealed_is_good(record, 16, RECORD_HEAD_SIZE + 16, 1));
	entry[0] = ENTRY_ADD;
	entry[4] = 32;
	assert_true(sealed_is_good(record, 32, RECORD_HEAD_SIZE + 32, 1));
	memset(entry + 16, 0xff, 8);	/* a content of 2^64 - 1 octets */
	assert_false(sealed_is_good(record, 32, RECORD_HEAD_SIZE + 32, 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_reads_back_as_it_was_written),
		cmocka_unit_test(every_flipped_bit_is_noticed),
		cmocka_unit_test(a_record_cut_short_anywhere_is_none),
		cmocka_unit_test(a_record_of_another_mailbox_or_use_of_the_segment_does_not_count),
		cmocka_unit_test(a_right_checksum_does_not_excuse_a_wrong_structure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
