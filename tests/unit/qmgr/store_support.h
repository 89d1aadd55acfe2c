/*
 * store_support - a mailbox in a folder of its own, driven step by step
 *
 * box_X() asks the store and runs the event loop until the answer is there.
 */
#ifndef TESTS_UNIT_QMGR_STORE_SUPPORT_H
#define TESTS_UNIT_QMGR_STORE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/attributes.h"
#include "common/base/clock.h"
#include "common/base/crc32c.h"
#include "common/base/memory.h"
#include "qmgr/store/store.h"

#define BOX_SEGMENT (256 * 1024)

struct box {
	char folder[128];
	uint64_t segment_size;
	unsigned disk_reserve;
	struct event_base *base;
	struct store *store;
	struct store_summary summary;
	bool accepting;
	unsigned accepting_calls;
	char accepting_text[128];
	/* of the last answer */
	unsigned answers;		/* callbacks that came */
	struct error error;
	bool failed;
	int file;
	struct store_content *content;
	struct envelope **taken;
	size_t taken_count;
	struct listed {
		uint64_t id;
		uint64_t size;
		bool held;
		size_t recipients;
		unsigned delivered;
	} *listed;
	size_t listed_count;
};

UNUSED static int
support_remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	return remove(path);
}

UNUSED static void
support_remove(const char *folder)
{
	nftw(folder, support_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Copies the files of a mailbox as they are at this moment; once more when a spare segment gets its name meanwhile. */
UNUSED static void
support_copy(const char *from, const char *to)
{
	char command[512];
	int result = -1;

	snprintf(command, sizeof(command), "cp -a '%s' '%s'", from, to);
	for (unsigned i = 0; i < 10 && result != 0; i++) {
		support_remove(to);
		result = system(command);
	}
	assert_int_equal(result, 0);
}

UNUSED static void
box_accepting(void *context, bool accepting, const char *text)
{
	struct box *box = context;

	box->accepting = accepting;
	box->accepting_calls++;
	snprintf(box->accepting_text, sizeof(box->accepting_text), "%s", text);
}

/* Opens; the result of store_open(). */
UNUSED static int
box_try_open(struct box *box)
{
	static const struct store_events events = { box_accepting };
	struct store_options options = { box->folder, box->segment_size, box->disk_reserve, 8 * 1024 * 1024 };

	box->accepting = true;
	return store_open(&options, box->base, &events, box, &box->store, &box->summary, &box->error);
}

UNUSED static void
box_open(struct box *box)
{
	if (box_try_open(box) < 0)
		fail_msg("%s", box->error.text);
}

UNUSED static void
box_forget_answers(struct box *box)
{
	for (size_t i = 0; i < box->taken_count; i++) {
		envelope_free(box->taken[i]);
		free(box->taken[i]);
	}
	free(box->taken);
	free(box->listed);
	store_content_release(&box->content);
	if (box->file >= 0)
		close(box->file);
	box->file = -1;
	box->taken = NULL;
	box->listed = NULL;
	box->taken_count = box->listed_count = 0;
	box->failed = false;
	box->answers = 0;
}

UNUSED static struct box *
box_new(const char *name)
{
	struct box *box = memory_new(1, sizeof(*box));
	const char *folder = getenv("TMPDIR");

	snprintf(box->folder, sizeof(box->folder), "%s/matador-%s-XXXXXX", folder == NULL ? "/tmp" : folder, name);
	assert_non_null(mkdtemp(box->folder));
	box->segment_size = BOX_SEGMENT;
	box->base = event_base_new();
	box->file = -1;
	return box;
}

UNUSED static void
box_close(struct box *box)
{
	store_close(&box->store);
}

UNUSED static void
box_free(struct box *box)
{
	box_close(box);
	box_forget_answers(box);
	event_base_free(box->base);
	support_remove(box->folder);
	free(box);
}

UNUSED static void
box_reopen(struct box *box)
{
	box_close(box);
	box_open(box);
}

/* Runs the loop until so many callbacks came. */
UNUSED static void
box_wait(struct box *box, unsigned answers)
{
	for (unsigned i = 0; box->answers < answers; i++) {
		struct timeval second = { 5, 0 };

		event_base_loopexit(box->base, &second);
		event_base_loop(box->base, EVLOOP_ONCE);
		if (i > 10000)
			fail_msg("no answer");
	}
}

UNUSED static void
box_run_ms(struct box *box, int64_t milliseconds)
{
	deadline_t until = deadline_after_ms(milliseconds);

	while (!deadline_passed(until)) {
		event_base_loop(box->base, EVLOOP_NONBLOCK);
		usleep(1000);
	}
}

/* ---- messages: everything about them follows from their id ---- */

UNUSED static struct store_content *
support_content(uint64_t id, size_t length)
{
	struct store_content *content = store_content_new(length);

	for (size_t i = 0; i < length; i++)
		content->data[i] = (char)(id * 31 + i * 7 + i / 251);
	return content;
}

UNUSED static uint32_t
support_checksum(uint64_t id, size_t length)
{
	struct store_content *content = support_content(id, length);
	uint32_t checksum = crc32c(0, content->data, length);

	store_content_release(&content);
	return checksum;
}

UNUSED static void
support_envelope(struct envelope *envelope, uint64_t id, unsigned recipients)
{
	char address[64];

	envelope_init(envelope);
	envelope->id = id;
	snprintf(address, sizeof(address), "sender%llu@example.net", (unsigned long long)id);
	envelope->sender = memory_copy_string(address);
	for (unsigned i = 0; i < recipients; i++) {
		struct envelope_recipient *recipient;

		snprintf(address, sizeof(address), "r%u.%llu@example.org", i, (unsigned long long)id);
		recipient = envelope_add_recipient(envelope, address);
		recipient->state = RECIPIENT_WAITING;
		recipient->transport = TRANSPORT_SMTP;
		snprintf(address, sizeof(address), "host%u.example.org", i % 3);
		recipient->next_hop = memory_copy_string(address);
	}
}

UNUSED static void
box_committed(void *context, const struct error *error)
{
	struct box *box = context;

	box->answers++;
	if (error != NULL) {
		box->failed = true;
		box->error = *error;
	}
}

UNUSED static void
box_commit(struct box *box, struct store_batch *batch)
{
	unsigned answers = box->answers;

	store_commit(box->store, batch, true, box_committed, box);
	box_wait(box, answers + 1);
}

UNUSED static void
batch_add_message(struct store_batch *batch, uint64_t id, size_t length, unsigned recipients)
{
	struct store_content *content = support_content(id, length);
	struct envelope envelope;

	support_envelope(&envelope, id, recipients);
	store_batch_add(batch, &envelope, content, 0, 0);
	store_content_release(&content);
	envelope_free(&envelope);
}

/* One message, stored. */
UNUSED static void
box_add(struct box *box, uint64_t id, size_t length)
{
	struct store_batch *batch = store_batch_new(box->store);

	batch_add_message(batch, id, length, 3);
	box_commit(box, batch);
}

UNUSED static void
box_done(struct box *box, uint64_t id)
{
	struct store_batch *batch = store_batch_new(box->store);

	store_batch_done(batch, id);
	box_commit(box, batch);
}

/* Recipient `which` of a message as support_envelope() makes it is delivered. */
UNUSED static void
box_deliver(struct box *box, struct envelope *envelope, unsigned which)
{
	struct store_batch *batch = store_batch_new(box->store);
	bool chosen[16] = { false };

	chosen[which] = true;
	envelope->recipients[which].state = RECIPIENT_DELIVERED;
	store_batch_update(batch, envelope, chosen);
	box_commit(box, batch);
}

UNUSED static void
box_took(void *context, struct envelope *envelope, const struct error *error)
{
	struct box *box = context;

	if (error != NULL) {
		box->failed = true;
		box->error = *error;
	}
	if (envelope == NULL) {
		box->answers++;
		return;
	}
	box->taken = memory_resize(box->taken, box->taken_count + 1, sizeof(*box->taken));
	box->taken[box->taken_count++] = envelope;
}

UNUSED static size_t
box_take_due(struct box *box, int64_t now, unsigned limit)
{
	box_forget_answers(box);
	store_take_due(box->store, now, limit, box_took, box);
	box_wait(box, 1);
	return box->taken_count;
}

UNUSED static size_t
box_take_destination(struct box *box, const char *destination, int64_t now, unsigned limit)
{
	box_forget_answers(box);
	store_take_destination(box->store, destination, now, limit, box_took, box);
	box_wait(box, 1);
	return box->taken_count;
}

/* The envelope is lent until the next answer; NULL: not parked. */
UNUSED static struct envelope *
box_take_id(struct box *box, uint64_t id)
{
	box_forget_answers(box);
	store_take_id(box->store, id, box_took, box);
	box_wait(box, 1);
	return box->taken_count == 1 ? box->taken[0] : NULL;
}

UNUSED static bool
box_list_item(void *context, const struct store_item *item, const struct error *error)
{
	struct box *box = context;
	struct listed *listed;

	(void)error;
	if (item == NULL) {
		box->answers++;
		return false;
	}
	box->listed = memory_resize(box->listed, box->listed_count + 1, sizeof(*box->listed));
	listed = &box->listed[box->listed_count++];
	*listed = (struct listed){ item->envelope->id, item->size, item->held, item->envelope->recipient_count, 0 };
	for (size_t i = 0; i < item->envelope->recipient_count; i++)
		listed->delivered += item->envelope->recipients[i].state == RECIPIENT_DELIVERED;
	return true;
}

UNUSED static size_t
box_list(struct box *box, uint64_t after, unsigned limit)
{
	box_forget_answers(box);
	store_list(box->store, after, limit, box_list_item, box);
	box_wait(box, 1);
	return box->listed_count;
}

UNUSED static void
box_got_content(void *context, uint64_t id, struct store_content *content, const struct error *error)
{
	struct box *box = context;

	(void)id;
	box->answers++;
	if (error != NULL) {
		box->failed = true;
		box->error = *error;
	}
	box->content = content;
}

/* Whether the content of the message is what support_content() made. */
UNUSED static bool
box_content_is_right(struct box *box, uint64_t id, size_t length)
{
	struct store_content *expected = support_content(id, length);
	bool right;

	box_forget_answers(box);
	store_read_content(box->store, id, box_got_content, box);
	box_wait(box, 1);
	right = box->content != NULL && box->content->length == length &&
	    memcmp(box->content->data, expected->data, length) == 0;
	store_content_release(&expected);
	return right;
}

UNUSED static void
box_got_file(void *context, uint64_t id, int file, uint64_t length, const struct error *error)
{
	struct box *box = context;

	(void)id;
	(void)length;
	box->answers++;
	box->file = file;
	if (error != NULL) {
		box->failed = true;
		box->error = *error;
	}
}

/* Whether the body file of the message is what support_content() made. */
UNUSED static bool
box_body_is_right(struct box *box, uint64_t id, size_t length)
{
	struct store_content *expected = support_content(id, length);
	char *found = memory_new(length + 1, 1);
	bool right;

	box_forget_answers(box);
	store_body_open(box->store, id, box_got_file, box);
	box_wait(box, 1);
	right = box->file >= 0 && read(box->file, found, length + 1) == (ssize_t)length &&
	    memcmp(found, expected->data, length) == 0;
	free(found);
	store_content_release(&expected);
	return right;
}

/* A number of store_status(). */
UNUSED static unsigned
box_number(struct box *box, const char *name)
{
	struct buffer lines = BUFFER_INITIALIZER(0);
	char wanted[64];
	unsigned number;

	store_status(box->store, &lines);
	snprintf(wanted, sizeof(wanted), "\n%s=", name);
	number = (unsigned)atoi(strstr(lines.data, wanted) + strlen(wanted));
	buffer_free(&lines);
	return number;
}

UNUSED static void
box_remove_index(const struct box *box)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/index", box->folder);
	support_remove(path);
}

/* Each file of the journal, with its name. */
UNUSED static void
support_each_segment(const char *folder, void (*each)(void *context, const char *path), void *context)
{
	char path[256], name[600];
	struct dirent *entry;
	DIR *files;

	snprintf(path, sizeof(path), "%s/journal", folder);
	files = opendir(path);
	assert_non_null(files);
	while ((entry = readdir(files)) != NULL) {
		if (strncmp(entry->d_name, "seg-", 4) != 0)
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		each(context, name);
	}
	closedir(files);
}

#endif
