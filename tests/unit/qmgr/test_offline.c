/* test_offline - a mailbox whose service is stopped */
#include "tests/unit/qmgr/store_support.h"

#include "qmgr/store/body.h"
#include "qmgr/store/offline.h"
#include "qmgr/store/segment.h"

struct seen {
	uint64_t ids[16];
	uint64_t sizes[16];
	bool held[16];
	unsigned count;
	unsigned limit;
	unsigned delivered;
};

static bool
see(void *context, const struct store_item *item)
{
	struct seen *seen = context;

	seen->ids[seen->count] = item->envelope->id;
	seen->sizes[seen->count] = item->size;
	seen->held[seen->count] = item->held;
	for (size_t i = 0; i < item->envelope->recipient_count; i++)
		seen->delivered += item->envelope->recipients[i].state == RECIPIENT_DELIVERED;
	seen->count++;
	return seen->count < seen->limit;
}

struct findings {
	struct offline_totals totals;
	uint64_t id;			/* of the last one that knows a message */
	char all[1000];			/* a line each */
};

static void
find(void *context, const struct offline_finding *finding)
{
	struct findings *findings = context;
	size_t length = strlen(findings->all);

	if (finding->id != 0)
		findings->id = finding->id;
	snprintf(findings->all + length, sizeof(findings->all) - length, "%s:%llu: %s\n", finding->file,
	    (unsigned long long)finding->offset, finding->text);
}

/* Three messages: plain, held and partly delivered, and one in a file; a fourth is done. */
static struct box *
stopped_box(void)
{
	struct box *box = box_new("offline");
	struct store_content *content = support_content(3, 5000);
	struct store_batch *batch;
	struct envelope envelope;

	box_open(box);
	box_add(box, 2, 200);
	box_add(box, 1, 100);
	box_add(box, 4, 400);
	box_done(box, 4);
	support_envelope(&envelope, 2, 3);
	box_deliver(box, &envelope, 0);
	batch = store_batch_new(box->store);
	store_batch_hold(batch, 2, true);
	box_commit(box, batch);
	envelope_free(&envelope);
	box_forget_answers(box);
	store_body_create(box->store, 3, box_got_file, box);
	box_wait(box, 1);
	assert_int_equal(write(box->file, content->data, 5000), 5000);
	store_content_release(&content);
	box_forget_answers(box);
	support_envelope(&envelope, 3, 1);
	batch = store_batch_new(box->store);
	store_batch_add(batch, &envelope, NULL, 5000, support_checksum(3, 5000));
	box_commit(box, batch);
	envelope_free(&envelope);
	return box;
}

static struct offline_mailbox *
open_offline(struct box *box)
{
	struct offline_mailbox *mailbox;
	struct error error;

	box_close(box);
	if (offline_open(box->folder, &mailbox, &error) < 0)
		fail_msg("%s", error.text);
	return mailbox;
}

static void
all_alive_messages_are_told_in_order(void **state)
{
	struct box *box = stopped_box();
	struct offline_mailbox *mailbox = open_offline(box);
	struct seen seen = { .limit = 16 };
	struct error error;

	(void)state;
	assert_int_equal(offline_each(mailbox, see, &seen, &error), 0);
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.ids[0], 1);
	assert_int_equal(seen.ids[1], 2);
	assert_int_equal(seen.ids[2], 3);
	assert_int_equal(seen.sizes[2], 5000);
	assert_false(seen.held[0]);
	assert_true(seen.held[1]);
	assert_int_equal(seen.delivered, 1);
	seen = (struct seen){ .limit = 2 };
	assert_int_equal(offline_each(mailbox, see, &seen, &error), 0);
	assert_int_equal(seen.count, 2);
	offline_close(&mailbox);
	box_free(box);
}

static void
contents_are_told_whole_from_both_places(void **state)
{
	struct box *box = stopped_box();
	struct offline_mailbox *mailbox = open_offline(box);
	struct error error;

	(void)state;
	for (uint64_t id = 1; id <= 3; id++) {
		size_t length = id == 3 ? 5000 : id * 100;
		struct store_content *content = offline_content(mailbox, id, &error), *expected = support_content(id, length);

		assert_non_null(content);
		assert_int_equal(content->length, length);
		assert_memory_equal(content->data, expected->data, length);
		store_content_release(&content);
		store_content_release(&expected);
	}
	assert_null(offline_content(mailbox, 4, &error));
	assert_int_equal(error.kind, ERROR_UNAVAILABLE);
	offline_close(&mailbox);
	box_free(box);
}

static void
a_mailbox_in_use_is_refused_and_then_keeps_the_service_out(void **state)
{
	struct box *box = stopped_box();
	struct offline_mailbox *mailbox;
	struct error error;

	(void)state;
	assert_int_equal(offline_open(box->folder, &mailbox, &error), -1);
	assert_non_null(strstr(error.text, "in use"));
	mailbox = open_offline(box);
	assert_int_equal(box_try_open(box), -1);
	offline_close(&mailbox);
	assert_int_equal(box_try_open(box), 0);
	box_free(box);
}

static void
an_empty_folder_is_an_empty_mailbox(void **state)
{
	struct box *box = box_new("offline");
	struct offline_mailbox *mailbox = open_offline(box);
	struct seen seen = { .limit = 16 };
	struct offline_totals totals;
	struct error error;

	(void)state;
	assert_int_equal(offline_each(mailbox, see, &seen, &error), 0);
	assert_int_equal(seen.count, 0);
	assert_int_equal(offline_verify(mailbox, NULL, NULL, &totals, &error), 0);
	assert_int_equal(totals.messages + totals.records + totals.segments + totals.findings, 0);
	offline_close(&mailbox);
	box_free(box);
}

/* Verifies the stopped mailbox. */
static struct findings
verify(const struct box *box)
{
	struct offline_mailbox *mailbox;
	struct findings findings = { .id = 0 };
	struct error error;

	if (offline_open(box->folder, &mailbox, &error) < 0 ||
	    offline_verify(mailbox, find, &findings, &findings.totals, &error) < 0)
		fail_msg("%s", error.text);
	offline_close(&mailbox);
	return findings;
}

static void
a_sound_mailbox_verifies(void **state)
{
	struct box *box = stopped_box();
	struct findings findings;

	(void)state;
	box_close(box);
	findings = verify(box);
	assert_string_equal(findings.all, "");
	assert_int_equal(findings.totals.findings, 0);
	assert_int_equal(findings.totals.messages, 3);
	assert_int_equal(findings.totals.records, 7);
	assert_int_equal(findings.totals.segments, 1);
	box_free(box);
}

static void
flip(const char *path, off_t offset)
{
	int file = open(path, O_RDWR);
	char octet;

	assert_int_equal(pread(file, &octet, 1, offset), 1);
	octet ^= 0x10;
	assert_int_equal(pwrite(file, &octet, 1, offset), 1);
	close(file);
}

static void
path_in(const struct box *box, const char *name, char path[static 256])
{
	snprintf(path, 256, "%s/%s", box->folder, name);
}

/* The first record lies there: head, entry and content of message 2. */
#define FIRST_RECORD SEGMENT_DATA
#define FIRST_HEAD FIRST_RECORD
#define FIRST_ENTRY (FIRST_RECORD + RECORD_HEAD_SIZE)
#define FIRST_CONTENT (FIRST_RECORD + 500)

static void
a_flipped_bit_anywhere_in_a_record_is_found(void **state)
{
	static const off_t places[] = { FIRST_HEAD, FIRST_HEAD + 8, FIRST_HEAD + 30, FIRST_ENTRY + 8, FIRST_ENTRY + 100,
		FIRST_CONTENT };
	struct box *box = stopped_box();
	char path[256];

	(void)state;
	box_close(box);
	path_in(box, "journal/seg-000001", path);
	for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
		struct findings findings;

		flip(path, places[i]);
		findings = verify(box);
		assert_int_equal(findings.totals.findings, 1);
		/* With a sound entry the message is known, though its content is lost. */
		assert_int_equal(findings.totals.messages, places[i] == FIRST_CONTENT ? 3 : 2);
		assert_int_equal(strncmp(findings.all, "journal/seg-000001:8192: ", 25), 0);
		assert_non_null(strstr(findings.all, "octets do not verify"));
		flip(path, places[i]);
	}
	assert_int_equal(verify(box).totals.findings, 0);
	box_free(box);
}

static void
the_message_of_a_damaged_content_is_named(void **state)
{
	struct box *box = stopped_box();
	struct offline_mailbox *mailbox;
	struct seen seen = { .limit = 16 };
	struct error error;
	char path[256];

	(void)state;
	box_close(box);
	path_in(box, "journal/seg-000001", path);
	flip(path, FIRST_CONTENT);
	assert_int_equal(verify(box).id, 2);
	mailbox = open_offline(box);
	assert_int_equal(offline_each(mailbox, see, &seen, &error), 0);
	assert_int_equal(seen.count, 3);
	assert_null(offline_content(mailbox, 2, &error));
	assert_int_equal(error.kind, ERROR_DAMAGED);
	offline_close(&mailbox);
	box_free(box);
}

static void
body_of(const struct box *box, uint64_t id, char path[static 256])
{
	char name[BODY_PATH_SIZE];

	body_path(id, name);
	snprintf(path, 256, "%s/bodies/%s", box->folder, name);
}

static void
a_changed_body_is_found(void **state)
{
	struct box *box = stopped_box();
	struct offline_mailbox *mailbox;
	struct findings findings;
	struct error error;
	char path[256], name[BODY_PATH_SIZE], told[BODY_PATH_SIZE + 20];

	(void)state;
	box_close(box);
	body_of(box, 3, path);
	flip(path, 1234);
	findings = verify(box);
	assert_int_equal(findings.totals.findings, 1);
	assert_int_equal(findings.id, 3);
	body_path(3, name);
	snprintf(told, sizeof(told), "bodies/%s:0: ", name);	/* the checksum is of the whole file */
	assert_int_equal(strncmp(findings.all, told, strlen(told)), 0);
	mailbox = open_offline(box);
	assert_null(offline_content(mailbox, 3, &error));
	assert_int_equal(error.kind, ERROR_DAMAGED);
	offline_close(&mailbox);
	flip(path, 1234);
	assert_int_equal(truncate(path, 4999), 0);
	assert_int_equal(verify(box).id, 3);
	assert_int_equal(unlink(path), 0);
	findings = verify(box);
	assert_int_equal(findings.totals.findings, 1);
	assert_int_equal(findings.id, 3);
	box_free(box);
}

struct wanted {
	uint64_t serial;
	char path[256];
};

static void
look_for_serial(void *context, const char *path)
{
	struct wanted *wanted = context;
	struct segment_header header;
	int file = open(path, O_RDONLY);

	if (segment_headers_read(file, &header) == SEGMENT_HEADER_GOOD && header.serial == wanted->serial)
		snprintf(wanted->path, sizeof(wanted->path), "%.255s", path);
	close(file);
}

static void
path_of_serial(const struct box *box, uint64_t serial, char path[static 256])
{
	struct wanted wanted = { serial, "" };

	support_each_segment(box->folder, look_for_serial, &wanted);
	assert_string_not_equal(wanted.path, "");
	memcpy(path, wanted.path, sizeof(wanted.path));
}

static void
a_missing_segment_is_found(void **state)
{
	struct box *box = box_new("offline");
	char first[256], second[256], kept[256];
	struct findings findings;

	(void)state;
	box_open(box);
	for (uint64_t id = 1; id <= 40; id++)
		box_add(box, id, 20000);
	box_close(box);
	path_of_serial(box, 1, first);
	path_of_serial(box, 2, second);
	path_in(box, "kept", kept);
	assert_int_equal(rename(first, kept), 0);
	findings = verify(box);
	assert_true(findings.totals.findings >= 1);
	assert_non_null(strstr(findings.all, "records are missing"));
	assert_int_equal(rename(kept, first), 0);
	assert_int_equal(rename(second, kept), 0);
	findings = verify(box);
	assert_true(findings.totals.findings >= 1);
	assert_non_null(strstr(findings.all, "records are missing"));
	assert_int_equal(rename(kept, second), 0);
	assert_int_equal(verify(box).totals.findings, 0);
	box_free(box);
}

static void
an_end_that_was_lost_after_an_orderly_stop_is_found(void **state)
{
	static const char zeroes[SEGMENT_PAGE];
	struct box *box = box_new("offline");
	char path[256];
	int file;

	(void)state;
	box_open(box);
	box_add(box, 1, 100);
	box_add(box, 2, 100);
	box_close(box);
	path_in(box, "journal/seg-000001", path);
	file = open(path, O_RDWR);
	assert_int_equal(pwrite(file, zeroes, sizeof(zeroes), SEGMENT_DATA + SEGMENT_PAGE), sizeof(zeroes));
	close(file);
	assert_non_null(strstr(verify(box).all, ": records are missing\n"));
	box_open(box);
	assert_int_equal(box->summary.damaged, 1);
	assert_int_equal(box->summary.messages, 1);
	box_free(box);
}

/* The checksums of all files, and the folders. */
static void
describe(const char *folder, char text[static 65536])
{
	char command[512];
	size_t length;
	FILE *output;

	snprintf(command, sizeof(command), "cd '%s' && find . | sort && find . -type f | sort | xargs cksum", folder);
	output = popen(command, "r");
	assert_non_null(output);
	length = fread(text, 1, 65535, output);
	text[length] = '\0';
	assert_int_equal(pclose(output), 0);
}

static void
verifying_changes_nothing(void **state)
{
	static char before[65536], after[65536];
	struct box *box = stopped_box();
	char path[256];

	(void)state;
	box_close(box);
	path_in(box, "journal/seg-000001", path);
	flip(path, FIRST_CONTENT);
	describe(box->folder, before);
	assert_int_equal(verify(box).totals.findings, 1);
	describe(box->folder, after);
	assert_string_equal(before, after);
	box_free(box);
}

/* The index is behind, a file of a message that never came lies about, and so does a segment that was not finished. */
static void
verifying_changes_nothing_that_a_kill_left(void **state)
{
	static char before[65536], after[65536];
	struct box *box = stopped_box(), *killed = box_new("killed");
	struct findings findings;
	char path[256];

	(void)state;
	box_forget_answers(box);
	store_body_create(box->store, 5, box_got_file, box);
	box_wait(box, 1);
	support_copy(box->folder, killed->folder);
	path_in(killed, "journal/seg-000099.new", path);
	close(open(path, O_WRONLY | O_CREAT, 0600));
	body_of(killed, 5, path);
	assert_int_equal(access(path, F_OK), 0);
	describe(killed->folder, before);
	findings = verify(killed);
	assert_string_equal(findings.all, "");
	assert_int_equal(findings.totals.messages, 3);
	describe(killed->folder, after);
	assert_string_equal(before, after);
	box_free(killed);
	box_free(box);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_alive_messages_are_told_in_order),
		cmocka_unit_test(contents_are_told_whole_from_both_places),
		cmocka_unit_test(a_mailbox_in_use_is_refused_and_then_keeps_the_service_out),
		cmocka_unit_test(an_empty_folder_is_an_empty_mailbox),
		cmocka_unit_test(a_sound_mailbox_verifies),
		cmocka_unit_test(a_flipped_bit_anywhere_in_a_record_is_found),
		cmocka_unit_test(the_message_of_a_damaged_content_is_named),
		cmocka_unit_test(a_changed_body_is_found),
		cmocka_unit_test(a_missing_segment_is_found),
		cmocka_unit_test(an_end_that_was_lost_after_an_orderly_stop_is_found),
		cmocka_unit_test(verifying_changes_nothing),
		cmocka_unit_test(verifying_changes_nothing_that_a_kill_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
