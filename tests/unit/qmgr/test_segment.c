/* test_segment - what is found in a segment after crashes, damage, and earlier uses of the file */
#include "tests/unit/qmgr/store_support.h"

#include "common/base/crc32c.h"
#include "qmgr/store/segment.h"

#define SIZE (32 * SEGMENT_PAGE)
#define MAILBOX 0x1122334455667788u
#define SERIAL 3
#define FIRST 1000u

struct image {
	char data[SIZE];
	uint64_t offset;		/* where the next record goes */
	uint64_t sequence;
	uint64_t flushed;
	uint64_t last_commit;		/* where the last commit began */
	/* what a scan told */
	uint64_t found[64];
	unsigned found_count;
	uint64_t damage_offset, damage_length, damage_id;
	unsigned damage_count;
	struct segment_found result;
	struct segment_frame frame;
};

/* A record whose whole length, with padding, is `length`: its content takes what is left. */
static void
put_record(struct image *image, uint64_t length)
{
	struct buffer out = BUFFER_INITIALIZER(0);
	struct record_head head = { .count = 1, .sequence = image->sequence, .serial = image->frame.serial,
		.flushed = image->flushed, .mailbox = image->frame.mailbox };
	struct store_content *content;
	struct envelope envelope;
	char *entry;

	buffer_reserve(&out, RECORD_HEAD_SIZE);
	buffer_commit(&out, RECORD_HEAD_SIZE);
	support_envelope(&envelope, image->sequence, 1);
	record_put_entry(&out, ENTRY_ADD, 0, image->sequence, &envelope, NULL, 0);
	assert_true(length >= out.length);
	content = support_content(image->sequence, length - out.length);
	out.length = RECORD_HEAD_SIZE;
	record_put_entry(&out, ENTRY_ADD, 0, image->sequence, &envelope, NULL, content->length);
	entry = out.data + RECORD_HEAD_SIZE;
	record_entry_set_crc(entry, crc32c(0, content->data, content->length));
	head.entries_length = (uint32_t)(out.length - RECORD_HEAD_SIZE);
	head.length = (uint32_t)length;
	record_seal(out.data, &head);
	memcpy(image->data + image->offset, out.data, out.length);
	memcpy(image->data + image->offset + out.length, content->data, content->length);
	image->offset += (length + 7) / 8 * 8;
	image->sequence++;
	envelope_free(&envelope);
	store_content_release(&content);
	buffer_free(&out);
}

static void
begin_commit(struct image *image)
{
	image->offset = (image->offset + SEGMENT_PAGE - 1) / SEGMENT_PAGE * SEGMENT_PAGE;
	image->last_commit = image->offset;
	image->flushed = image->sequence - 1;
}

/* Three commits: 1000; 1001 and 1002; 1003, 1004 and 1005, of which 1004 begins on a page of its own. */
static struct image *
image_new(void)
{
	struct image *image = memory_new(1, sizeof(*image));

	image->frame = (struct segment_frame){ .mailbox = MAILBOX, .serial = SERIAL, .first = FIRST };
	image->offset = SEGMENT_DATA;
	image->sequence = FIRST;
	begin_commit(image);
	put_record(image, 700);
	begin_commit(image);
	put_record(image, 5000);
	put_record(image, 900);
	begin_commit(image);
	put_record(image, 2 * SEGMENT_PAGE);
	put_record(image, SEGMENT_PAGE);
	put_record(image, 611);
	return image;
}

static void
note_record(void *context, const struct record_head *head, const void *record, uint64_t offset)
{
	struct image *image = context;

	assert_ptr_equal(record, image->data + offset);
	image->found[image->found_count++] = head->sequence;
}

static void
note_damage(void *context, uint64_t offset, const void *octets, uint64_t length, uint64_t guess_id)
{
	struct image *image = context;

	assert_ptr_equal(octets, image->data + offset);
	image->damage_count++;
	image->damage_offset = offset;
	image->damage_length = length;
	image->damage_id = guess_id;
}

static void
scan(struct image *image)
{
	image->found_count = image->damage_count = 0;
	segment_scan(image->data, SIZE, &image->frame, note_record, note_damage, image, &image->result);
}

#define assert_found(image, ...) do { \
		const uint64_t expected_[] = { __VA_ARGS__ }; \
		assert_int_equal((image)->found_count, sizeof(expected_) / sizeof(*expected_)); \
		assert_memory_equal((image)->found, expected_, sizeof(expected_)); \
	} while (0)

static void
all_records_are_found_in_order(void **state)
{
	struct image *image = image_new();

	(void)state;
	scan(image);
	assert_found(image, 1000, 1001, 1002, 1003, 1004, 1005);
	assert_int_equal(image->damage_count, 0);
	assert_int_equal(image->result.last, 1005);
	free(image);
}

static void
an_empty_segment_has_none(void **state)
{
	struct image *image = image_new();

	(void)state;
	memset(image->data, 0, SIZE);
	scan(image);
	assert_int_equal(image->found_count, 0);
	assert_int_equal(image->damage_count, 0);
	free(image);
}

static void
a_last_commit_torn_at_any_sector_loses_nothing_before_it(void **state)
{
	struct image *image = image_new();
	char *whole = memory_copy(image->data, SIZE);

	(void)state;
	for (uint64_t from = image->last_commit; from < image->offset; from += 512)
		for (int octet = 0; octet < 2; octet++) {
			memset(image->data + from, octet ? 0xa5 : 0, SIZE - from);
			scan(image);
			assert_in_range(image->result.last, 1002, 1004);
			assert_int_equal(image->damage_count, 0);
			memcpy(image->data, whole, SIZE);
		}
	free(whole);
	free(image);
}

static void
a_hole_in_the_last_commit_hides_what_follows(void **state)
{
	struct image *image = image_new();

	(void)state;
	/* 1003 is lost, 1004 and 1005 reached the disk: ghosts. */
	memset(image->data + image->last_commit + 512, 0, 512);
	scan(image);
	assert_found(image, 1000, 1001, 1002);
	assert_int_equal(image->damage_count, 0);
	/* Nor do they come back when a later start went on behind them. */
	image->frame.closed = true;
	image->frame.claimed = 1002;
	scan(image);
	assert_found(image, 1000, 1001, 1002);
	assert_int_equal(image->damage_count, 0);
	free(image);
}

static void
what_a_failed_flush_left_is_void(void **state)
{
	struct image *image = image_new();

	(void)state;
	image->frame.closed = true;
	image->frame.claimed = 1002;
	scan(image);
	assert_found(image, 1000, 1001, 1002);
	assert_int_equal(image->damage_count, 0);
	free(image);
}

static void
damage_that_a_flush_had_covered_is_told_and_reading_goes_on(void **state)
{
	struct image *image = image_new();

	(void)state;
	memset(image->data + SEGMENT_DATA + SEGMENT_PAGE, 0, 512);	/* the beginning of 1001 */
	scan(image);
	assert_found(image, 1000, 1003, 1004, 1005);
	assert_int_equal(image->damage_count, 1);
	assert_int_equal(image->damage_offset % 8, 0);
	assert_int_equal(image->damage_offset + image->damage_length, image->last_commit);
	free(image);
}

static void
a_bad_record_with_a_sound_head_does_not_take_its_neighbour_along(void **state)
{
	struct image *image = image_new();

	(void)state;
	image->data[SEGMENT_DATA + SEGMENT_PAGE + RECORD_HEAD_SIZE + RECORD_ADD_HEAD_SIZE] ^= 1;	/* the envelope of 1001 */
	scan(image);
	assert_found(image, 1000, 1002, 1003, 1004, 1005);
	assert_int_equal(image->damage_count, 1);
	assert_int_equal(image->damage_id, 1001);
	free(image);
}

static void
a_record_of_which_only_the_content_is_bad_counts_and_is_told(void **state)
{
	struct image *image = image_new();

	(void)state;
	image->data[SEGMENT_DATA + SEGMENT_PAGE + 4000] ^= 1;	/* in the content of 1001 */
	scan(image);
	assert_found(image, 1000, 1001, 1002, 1003, 1004, 1005);
	assert_int_equal(image->damage_count, 1);
	assert_int_equal(image->damage_id, 1001);
	/* Behind the last flush it is a torn tail. */
	image->data[SEGMENT_DATA + SEGMENT_PAGE + 4000] ^= 1;
	image->data[image->offset - 10] ^= 1;	/* in the content of 1005 */
	scan(image);
	assert_found(image, 1000, 1001, 1002, 1003, 1004);
	assert_int_equal(image->damage_count, 0);
	free(image);
}

static void
the_last_commit_is_damage_if_the_next_segment_knows_of_it(void **state)
{
	struct image *image = image_new();

	(void)state;
	image->frame.closed = true;
	image->frame.claimed = 1005;
	image->data[image->last_commit + 100] ^= 4;
	scan(image);
	assert_found(image, 1000, 1001, 1002, 1004, 1005);
	assert_int_equal(image->damage_count, 1);
	assert_in_range(image->damage_offset, image->last_commit - SEGMENT_PAGE, image->last_commit);
	memset(image->data + image->last_commit, 0, SIZE - image->last_commit);
	scan(image);
	assert_found(image, 1000, 1001, 1002);
	assert_int_equal(image->damage_count, 1);
	free(image);
}

static void
the_id_in_damage_is_guessed(void **state)
{
	struct image *image = image_new();

	(void)state;
	image->data[SEGMENT_DATA + 690] ^= 1;	/* the content of 1000 */
	scan(image);
	assert_int_equal(image->damage_count, 1);
	assert_int_equal(image->damage_id, 1000);
	free(image);
}

static void
records_of_an_earlier_use_of_the_file_do_not_count(void **state)
{
	struct image *image = image_new();

	(void)state;
	image->frame.serial = SERIAL + 1;
	image->frame.first = 2000;
	scan(image);
	assert_int_equal(image->found_count, 0);
	image->offset = SEGMENT_DATA;
	image->sequence = 2000;
	begin_commit(image);
	put_record(image, 700);
	scan(image);
	assert_found(image, 2000);
	assert_int_equal(image->damage_count, 0);
	free(image);
}

static void
content_that_looks_like_a_record_is_not_taken_for_one(void **state)
{
	struct image *image = image_new(), *forger = image_new();
	uint64_t inside = image->last_commit + SEGMENT_PAGE;

	(void)state;
	/* Everything is guessed right but the mailbox' number: a record on a page of its own inside a content. */
	forger->frame.mailbox = MAILBOX ^ 1;
	forger->offset = inside;
	forger->sequence = 1004;
	forger->flushed = 1004;
	put_record(forger, 600);
	memcpy(image->data + inside, forger->data + inside, 600);
	scan(image);
	assert_found(image, 1000, 1001, 1002);
	free(forger);
	free(image);
}

static void
a_segment_without_headers_is_known_by_its_records(void **state)
{
	struct image *image = image_new();
	uint64_t serial, sequence;

	(void)state;
	assert_true(segment_identify(image->data, SIZE, MAILBOX, &serial, &sequence));
	assert_int_equal(serial, SERIAL);
	assert_int_equal(sequence, 1000);
	assert_false(segment_identify(image->data, SIZE, MAILBOX + 1, &serial, &sequence));
	image->frame.first = 0;
	scan(image);
	assert_int_equal(image->found_count, 6);
	free(image);
}

static void
any_octets_can_be_scanned(void **state)
{
	struct image *image = image_new();
	char *whole = memory_copy(image->data, SIZE);
	uint32_t random = 12345;

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		for (unsigned i = 0; i < 1 + round % 5; i++) {
			random = random * 1664525 + 1013904223;
			image->data[SEGMENT_DATA + random % (SIZE - SEGMENT_DATA)] ^= (char)(1 << (random >> 29));
		}
		scan(image);
		for (unsigned i = 1; i < image->found_count; i++)
			assert_true(image->found[i] > image->found[i - 1]);
		memcpy(image->data, whole, SIZE);
	}
	free(whole);
	free(image);
}

/* ---- headers ---- */

static struct segment_header
sample_header(void)
{
	return (struct segment_header){ 7, 3, 100, 99, 5, SIZE, MAILBOX, 120 };
}

static void
a_header_reads_back_and_every_flipped_bit_is_noticed(void **state)
{
	struct segment_header header = sample_header(), again;
	char page[SEGMENT_PAGE];

	(void)state;
	segment_header_encode(&header, page);
	assert_int_equal(segment_header_decode(page, &again), SEGMENT_HEADER_GOOD);
	assert_memory_equal(&header, &again, sizeof(header));
	for (size_t i = 0; i < sizeof(page) * 8; i++) {
		page[i / 8] ^= (char)(1 << i % 8);
		assert_int_equal(segment_header_decode(page, &again), SEGMENT_HEADER_BAD);
		page[i / 8] ^= (char)(1 << i % 8);
	}
	memset(page, 0, sizeof(page));
	assert_int_equal(segment_header_decode(page, &again), SEGMENT_HEADER_EMPTY);
}

static enum segment_header_state
read_headers(const char *first, const char *second, struct segment_header *header)
{
	FILE *file = tmpfile();
	enum segment_header_state state;

	assert_non_null(file);
	assert_int_equal(fwrite(first, SEGMENT_PAGE, 1, file), 1);
	assert_int_equal(fwrite(second, SEGMENT_PAGE, 1, file), 1);
	assert_int_equal(fflush(file), 0);
	state = segment_headers_read(fileno(file), header);
	fclose(file);
	return state;
}

static void
one_good_header_of_two_is_enough(void **state)
{
	struct segment_header header = sample_header(), newer = header, found;
	char good[SEGMENT_PAGE], better[SEGMENT_PAGE], bad[SEGMENT_PAGE];

	(void)state;
	newer.serial++;
	segment_header_encode(&header, good);
	segment_header_encode(&newer, better);
	memset(bad, 0x55, sizeof(bad));
	assert_int_equal(read_headers(good, bad, &found), SEGMENT_HEADER_GOOD);
	assert_int_equal(read_headers(bad, good, &found), SEGMENT_HEADER_GOOD);
	assert_int_equal(read_headers(good, better, &found), SEGMENT_HEADER_GOOD);
	assert_int_equal(found.serial, newer.serial);
	assert_int_equal(read_headers(better, good, &found), SEGMENT_HEADER_GOOD);
	assert_int_equal(found.serial, newer.serial);
	assert_int_equal(read_headers(bad, bad, &found), SEGMENT_HEADER_BAD);
}

static void
of_two_headers_of_an_orderly_stop_the_one_that_knows_the_end_counts(void **state)
{
	struct segment_header header = sample_header(), closed = header, found;
	char open_page[SEGMENT_PAGE], closed_page[SEGMENT_PAGE];

	(void)state;
	header.closed = 0;
	segment_header_encode(&header, open_page);
	segment_header_encode(&closed, closed_page);
	assert_int_equal(read_headers(open_page, closed_page, &found), SEGMENT_HEADER_GOOD);
	assert_int_equal(found.closed, 120);
	assert_int_equal(read_headers(closed_page, open_page, &found), SEGMENT_HEADER_GOOD);
	assert_int_equal(found.closed, 120);
}

static void
names_are_parsed_strictly(void **state)
{
	char name[SEGMENT_NAME_SIZE];
	uint32_t number;

	(void)state;
	segment_name(42, name);
	assert_string_equal(name, "seg-000042");
	assert_true(segment_name_parse(name, &number));
	assert_int_equal(number, 42);
	assert_false(segment_name_parse("seg-42", &number));
	assert_false(segment_name_parse("seg-000042.new", &number));
	assert_false(segment_name_parse("seg-00004x", &number));
	assert_false(segment_name_parse("seg-", &number));
	assert_false(segment_name_parse("notes", &number));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_records_are_found_in_order),
		cmocka_unit_test(an_empty_segment_has_none),
		cmocka_unit_test(a_last_commit_torn_at_any_sector_loses_nothing_before_it),
		cmocka_unit_test(a_hole_in_the_last_commit_hides_what_follows),
		cmocka_unit_test(what_a_failed_flush_left_is_void),
		cmocka_unit_test(damage_that_a_flush_had_covered_is_told_and_reading_goes_on),
		cmocka_unit_test(a_bad_record_with_a_sound_head_does_not_take_its_neighbour_along),
		cmocka_unit_test(a_record_of_which_only_the_content_is_bad_counts_and_is_told),
		cmocka_unit_test(the_last_commit_is_damage_if_the_next_segment_knows_of_it),
		cmocka_unit_test(the_id_in_damage_is_guessed),
		cmocka_unit_test(records_of_an_earlier_use_of_the_file_do_not_count),
		cmocka_unit_test(content_that_looks_like_a_record_is_not_taken_for_one),
		cmocka_unit_test(a_segment_without_headers_is_known_by_its_records),
		cmocka_unit_test(any_octets_can_be_scanned),
		cmocka_unit_test(a_header_reads_back_and_every_flipped_bit_is_noticed),
		cmocka_unit_test(one_good_header_of_two_is_enough),
		cmocka_unit_test(of_two_headers_of_an_orderly_stop_the_one_that_knows_the_end_counts),
		cmocka_unit_test(names_are_parsed_strictly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
