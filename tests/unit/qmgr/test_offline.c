/* test_offline - a mailbox whose service is stopped */
#include "tests/unit/qmgr/store_support.h"

#include "qmgr/store/body.h"
#include "qmgr/store/offline.h"

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
	unsigned count;
	uint64_t id;
	char text[200];
};

static void
find(void *context, uint64_t id, const char *segment, uint64_t offset, const char *text)
{
	struct findings *findings = context;

	(void)offset;
	findings->count++;
	if (id != 0)
		findings->id = id;
	snprintf(findings->text, sizeof(findings->text), "%s: %s", segment, text);
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
	store_batch_add(batch, &envelope, NULL, 5000);
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
	struct error error;

	(void)state;
	assert_int_equal(offline_each(mailbox, see, &seen, &error), 0);
	assert_int_equal(seen.count, 0);
	assert_int_equal(offline_verify(mailbox, NULL, NULL, &error), 0);
	offline_close(&mailbox);
	box_free(box);
}

static void
a_sound_mailbox_verifies(void **state)
{
	struct box *box = stopped_box();
	struct offline_mailbox *mailbox = open_offline(box);
	struct findings findings = { 0, 0, "" };
	struct error error;

	(void)state;
	assert_int_equal(offline_verify(mailbox, find, &findings, &error), 0);
	assert_int_equal(findings.count, 0);
	offline_close(&mailbox);
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
a_changed_body_is_found(void **state)
{
	struct box *box = stopped_box();
	struct offline_mailbox *mailbox;
	struct findings findings = { 0, 0, "" };
	struct error error;
	char path[256], name[BODY_PATH_SIZE];

	(void)state;
	box_close(box);
	body_path(3, name);
	snprintf(path, sizeof(path), "%s/bodies/%s", box->folder, name);
	flip(path, 1234);
	mailbox = open_offline(box);
	assert_int_equal(offline_verify(mailbox, find, &findings, &error), 1);
	assert_int_equal(findings.id, 3);
	assert_null(offline_content(mailbox, 3, &error));
	assert_int_equal(error.kind, ERROR_DAMAGED);
	offline_close(&mailbox);
	box_free(box);
}

static void
flip_first_content(void *context, const char *path)
{
	(void)context;
	if (strstr(path, "seg-000001") != NULL)
		flip(path, 8192 + 500);
}

static void
a_damaged_record_is_found_and_nothing_is_changed(void **state)
{
	struct box *box = stopped_box();
	struct offline_mailbox *mailbox;
	struct findings findings = { 0, 0, "" };
	struct seen seen = { .limit = 16 };
	struct error error;
	char path[256];

	(void)state;
	box_close(box);
	support_each_segment(box->folder, flip_first_content, NULL);
	mailbox = open_offline(box);
	assert_int_equal(offline_verify(mailbox, find, &findings, &error), 1);
	assert_int_equal(findings.id, 2);
	assert_non_null(strstr(findings.text, "do not verify"));
	assert_int_equal(offline_each(mailbox, see, &seen, &error), 0);
	assert_int_equal(seen.count, 2);
	offline_close(&mailbox);
	snprintf(path, sizeof(path), "%s/damaged", box->folder);
	assert_int_equal(access(path, F_OK), -1);
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
		cmocka_unit_test(a_changed_body_is_found),
		cmocka_unit_test(a_damaged_record_is_found_and_nothing_is_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
