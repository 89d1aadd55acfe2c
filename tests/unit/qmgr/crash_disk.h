/*
 * crash_disk - what a disk can hold after the power failed, by the log of crash_recorder.h
 *
 * POSIX promises no more than this: what a flush covered is there. Of everything else any part may be there: sectors of 512
 * octets of each write, each change of a folder by itself, in any order; a file that grew may hold zeroes or old octets of
 * the disk where its own are missing. A flush that failed promises nothing, then or later, about what came before it.
 */
#ifndef TESTS_UNIT_QMGR_CRASH_DISK_H
#define TESTS_UNIT_QMGR_CRASH_DISK_H

#include "common/base/memory.h"
#include "qmgr/store/segment.h"
#include "tests/unit/qmgr/crash_recorder.h"

#define CRASH_SECTOR 512
#define CRASH_ROOT 0			/* the node of the folder that all lies in */

struct crash_entry {
	char name[CRASH_NAME_SIZE];
	uint32_t node;
};

struct crash_node {
	bool is_folder;
	char *data;			/* flushed */
	uint64_t size, capacity;
	struct crash_entry *entries;	/* flushed */
	uint32_t entry_count, entry_capacity;
	uint32_t *pending;		/* events that no flush covered, in their order */
	uint32_t pending_count, pending_capacity;
	uint32_t limbo;			/* the first so many of them never will be: their flush failed */
	bool is_segment;
	unsigned begun;			/* how many times, if it is one: so often both pages of its header were written */
};

/* What a cut met: the cases that a test counts. */
enum crash_case {
	CRASH_TORN,			/* of one write some sectors are there and others are not */
	CRASH_REORDERED,		/* a change is there, and one before it is not */
	CRASH_RECYCLED,			/* something is pending in a segment that is used again */
	CRASH_RENAME_PENDING,
	CRASH_UNLINK_PENDING,
	CRASH_AFTER_FAILURE,		/* a segment's flush had failed, and others were written since */
	CRASH_CASES
};

struct crash_disk {
	struct crash_node *nodes;
	uint32_t count, capacity;
	uint32_t next;			/* the event that comes next */
	bool failed, written_since;	/* a flush; a segment after that */
	bool met[CRASH_CASES];		/* by the cut that this disk is of */
};

/* What of the unflushed is kept. */
struct crash_choice {
	const char *name;
	unsigned data_percent;
	unsigned folder_percent;
	bool by_sector;
	bool last_is_torn;		/* of the last write, half of the sectors */
	bool only_last;			/* all before it is lost */
	enum { CRASH_GROW_NOT, CRASH_GROW_ZEROES, CRASH_GROW_GARBAGE } growth;
};

/* ---- nodes ---- */

static struct crash_node *
crash_disk_node(struct crash_disk *disk, uint32_t number)
{
	if (number >= disk->capacity) {
		uint32_t before = disk->capacity;

		disk->capacity = number * 2 + 64;
		disk->nodes = memory_resize(disk->nodes, disk->capacity, sizeof(*disk->nodes));
		memset(&disk->nodes[before], 0, (disk->capacity - before) * sizeof(*disk->nodes));
	}
	if (number >= disk->count)
		disk->count = number + 1;
	return &disk->nodes[number];
}

static void
crash_disk_free(struct crash_disk *disk)
{
	for (uint32_t i = 0; i < disk->count; i++) {
		free(disk->nodes[i].data);
		free(disk->nodes[i].entries);
		free(disk->nodes[i].pending);
	}
	free(disk->nodes);
	*disk = (struct crash_disk){ .nodes = NULL };
}

static void
crash_node_resize(struct crash_node *node, uint64_t size)
{
	if (size > node->capacity) {
		node->capacity = size + size / 4 + CRASH_SECTOR;
		node->data = memory_resize(node->data, node->capacity, 1);
	}
	if (size > node->size)
		memset(node->data + node->size, 0, size - node->size);
	node->size = size;
}

static void
crash_node_put(struct crash_node *node, uint64_t offset, const char *data, uint64_t length)
{
	if (offset + length > node->size)
		crash_node_resize(node, offset + length);
	memcpy(node->data + offset, data, length);
}

static struct crash_entry *
crash_node_find(const struct crash_node *folder, const char *name)
{
	for (uint32_t i = 0; i < folder->entry_count; i++)
		if (strcmp(folder->entries[i].name, name) == 0)
			return &folder->entries[i];
	return NULL;
}

static void
crash_node_remove(struct crash_node *folder, const char *name)
{
	struct crash_entry *entry = crash_node_find(folder, name);

	if (entry != NULL)
		*entry = folder->entries[--folder->entry_count];
}

static void
crash_node_link(struct crash_node *folder, const char *name, uint32_t node)
{
	struct crash_entry *entry = crash_node_find(folder, name);

	if (entry == NULL) {
		if (folder->entry_count == folder->entry_capacity) {
			folder->entry_capacity = folder->entry_capacity ? folder->entry_capacity * 2 : 16;
			folder->entries = memory_resize(folder->entries, folder->entry_capacity, sizeof(*folder->entries));
		}
		entry = &folder->entries[folder->entry_count++];
		snprintf(entry->name, sizeof(entry->name), "%s", name);
	}
	entry->node = node;
}

/* ---- going on in the log ---- */

static void
crash_node_pend(struct crash_node *node, uint32_t event)
{
	if (node->pending_count == node->pending_capacity) {
		node->pending_capacity = node->pending_capacity ? node->pending_capacity * 2 : 16;
		node->pending = memory_resize(node->pending, node->pending_capacity, sizeof(*node->pending));
	}
	node->pending[node->pending_count++] = event;
}

/* A change as a whole. The node of a renamed entry is known from the log: whether its creation was kept or not, it is that one. */
static void
crash_node_apply(struct crash_node *node, const struct crash_log *log, const struct crash_event *event)
{
	switch (event->kind) {
	case CRASH_CREATE:
	case CRASH_FOLDER:
		crash_node_link(node, event->name, event->node);
		break;
	case CRASH_UNLINK:
		crash_node_remove(node, event->name);
		break;
	case CRASH_RENAME:
		crash_node_remove(node, event->name);
		crash_node_link(node, event->other_name, event->node);
		break;
	case CRASH_WRITE:
		crash_node_put(node, event->offset, &log->data[event->data], event->length);
		break;
	case CRASH_LENGTH:
		crash_node_resize(node, event->length);
		break;
	default:
		break;
	}
}

static bool
crash_overlap(const struct crash_event *a, const struct crash_event *b)
{
	return a->kind == CRASH_WRITE && b->kind == CRASH_WRITE && a->offset < b->offset + b->length &&
	    b->offset < a->offset + a->length;
}

/* A write whose flush failed is forgotten once another one, flushed, took its place. */
static void
crash_node_forget_limbo(struct crash_node *node, const struct crash_log *log, const struct crash_event *event)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < node->limbo; i++)
		if (!crash_overlap(&log->events[node->pending[i]], event))
			node->pending[kept++] = node->pending[i];
	memmove(&node->pending[kept], &node->pending[node->limbo],
	    (node->pending_count - node->limbo) * sizeof(*node->pending));
	node->pending_count -= node->limbo - kept;
	node->limbo = kept;
}

static void
crash_node_flush(struct crash_node *node, const struct crash_log *log, uint64_t begin)
{
	while (node->limbo < node->pending_count && node->pending[node->limbo] < begin) {
		const struct crash_event *event = &log->events[node->pending[node->limbo]];

		crash_node_apply(node, log, event);
		node->pending_count--;
		memmove(&node->pending[node->limbo], &node->pending[node->limbo + 1],
		    (node->pending_count - node->limbo) * sizeof(*node->pending));
		crash_node_forget_limbo(node, log, event);
	}
}

/* Everything before the event `to` happened. */
static void
crash_disk_advance(struct crash_disk *disk, const struct crash_log *log, uint32_t to)
{
	for (; disk->next < to; disk->next++) {
		const struct crash_event *event = &log->events[disk->next];

		switch (event->kind) {
		case CRASH_FOLDER:
			crash_disk_node(disk, event->node)->is_folder = true;
			/* fallthrough */
		case CRASH_CREATE:
		case CRASH_RENAME:
			crash_disk_node(disk, event->node)->is_segment |= strncmp(event->other_name, "seg-", 4) == 0;
			/* fallthrough */
		case CRASH_UNLINK:
			crash_node_pend(crash_disk_node(disk, event->folder), disk->next);
			break;
		case CRASH_WRITE:
			crash_disk_node(disk, event->node)->begun += event->offset == 0 && event->length == SEGMENT_DATA;
			disk->written_since |= disk->failed && crash_disk_node(disk, event->node)->is_segment;
			/* fallthrough */
		case CRASH_LENGTH:
			crash_node_pend(crash_disk_node(disk, event->node), disk->next);
			break;
		case CRASH_FLUSHED:
			crash_node_flush(crash_disk_node(disk, event->node), log, event->offset);
			break;
		case CRASH_FLUSH_FAILED:
			for (struct crash_node *node = crash_disk_node(disk, event->node);
			    node->limbo < node->pending_count && node->pending[node->limbo] < event->offset;)
				node->limbo++;
			disk->failed = true;
			disk->written_since = false;
			break;
		case CRASH_FLUSH:
		case CRASH_NOTE:
			break;
		}
	}
}

/* ---- choosing ---- */

static uint64_t
crash_mix(uint64_t seed, uint64_t a, uint64_t b)
{
	uint64_t mixed = seed ^ (a + 1) * 0x9e3779b97f4a7c15u ^ (b + 1) * 0xc2b2ae3d27d4eb4fu;

	mixed = (mixed ^ mixed >> 31) * 0xff51afd7ed558ccdu;
	return (mixed ^ mixed >> 33) * 0xc4ceb9fe1a85ec53u >> 16;
}

static bool
crash_kept(const struct crash_choice *choice, uint64_t seed, uint32_t number, bool is_last, bool in_folder, uint64_t sector)
{
	unsigned percent = in_folder ? choice->folder_percent : choice->data_percent;

	if (is_last && choice->only_last)
		return true;
	if (is_last && choice->last_is_torn && !in_folder)
		percent = 50;
	else if (!choice->by_sector)
		sector = 0;
	return crash_mix(seed, number, sector) % 100 < percent;
}

/* The sectors of a write that are kept, how many; where the others made the file grow, something else may stand. */
static uint64_t
crash_node_tear(struct crash_node *node, const struct crash_log *log, uint32_t number, bool is_last,
    const struct crash_choice *choice, uint64_t seed)
{
	const struct crash_event *event = &log->events[number];
	uint64_t end = event->offset + event->length, kept = 0;

	for (uint64_t at = event->offset, next; at < end; at = next) {
		uint64_t sector = at / CRASH_SECTOR;

		next = (sector + 1) * CRASH_SECTOR < end ? (sector + 1) * CRASH_SECTOR : end;
		if (crash_kept(choice, seed, number, is_last, false, sector)) {
			crash_node_put(node, at, &log->data[event->data + (at - event->offset)], next - at);
			kept++;
		} else if (choice->growth != CRASH_GROW_NOT && next > node->size) {
			uint64_t before = node->size > at ? node->size : at;

			crash_node_resize(node, next);
			for (uint64_t i = before; i < next && choice->growth == CRASH_GROW_GARBAGE; i++)
				node->data[i] = (char)crash_mix(seed, sector, i);
		}
	}
	return kept;
}

/* Sectors that a write touches; of another change 1, itself. */
static uint64_t
crash_pieces(const struct crash_event *event)
{
	if (event->kind != CRASH_WRITE)
		return 1;
	return (event->offset + event->length - 1) / CRASH_SECTOR - event->offset / CRASH_SECTOR + 1;
}

/* The last change of all; CRASH_NODE_NONE when all is flushed. */
static uint32_t
crash_disk_last(const struct crash_disk *disk)
{
	uint32_t last = CRASH_NODE_NONE;

	for (uint32_t i = 0; i < disk->count; i++) {
		const struct crash_node *node = &disk->nodes[i];

		if (node->pending_count > 0 && (last == CRASH_NODE_NONE || node->pending[node->pending_count - 1] > last))
			last = node->pending[node->pending_count - 1];
	}
	return last;
}

static void
crash_disk_meet(struct crash_disk *cut, const struct crash_node *from, const struct crash_log *log, bool written_since)
{
	cut->met[CRASH_RECYCLED] |= from->is_segment && from->begun > 1 && from->pending_count > from->limbo;
	cut->met[CRASH_AFTER_FAILURE] |= from->is_segment && from->limbo > 0 && written_since;
	for (uint32_t i = 0; i < from->pending_count; i++) {
		cut->met[CRASH_RENAME_PENDING] |= log->events[from->pending[i]].kind == CRASH_RENAME;
		cut->met[CRASH_UNLINK_PENDING] |= log->events[from->pending[i]].kind == CRASH_UNLINK;
	}
}

/* The disk after a cut, with nothing pending. The caller frees. */
static struct crash_disk
crash_disk_cut(const struct crash_disk *disk, const struct crash_log *log, const struct crash_choice *choice, uint64_t seed)
{
	struct crash_disk cut = { .nodes = NULL };
	uint32_t last = crash_disk_last(disk), first_lost = CRASH_NODE_NONE, last_kept = 0;

	if (disk->count > 0)
		crash_disk_node(&cut, disk->count - 1);
	for (uint32_t i = 0; i < disk->count; i++) {
		const struct crash_node *from = &disk->nodes[i];
		struct crash_node *to = &cut.nodes[i];

		to->is_folder = from->is_folder;
		to->is_segment = from->is_segment;
		to->begun = from->begun;
		crash_disk_meet(&cut, from, log, disk->written_since);
		if (from->size > 0)
			crash_node_put(to, 0, from->data, from->size);
		for (uint32_t j = 0; j < from->entry_count; j++)
			crash_node_link(to, from->entries[j].name, from->entries[j].node);
		for (uint32_t j = 0; j < from->pending_count; j++) {
			uint32_t number = from->pending[j];
			const struct crash_event *event = &log->events[number];
			uint64_t kept = 0;

			if (event->kind == CRASH_WRITE) {
				kept = crash_node_tear(to, log, number, number == last, choice, seed);
			} else if (crash_kept(choice, seed, number, number == last, from->is_folder, 0)) {
				crash_node_apply(to, log, event);
				kept = 1;
			}
			cut.met[CRASH_TORN] |= kept > 0 && kept < crash_pieces(event);
			if (kept > 0 && number > last_kept)
				last_kept = number;
			if (kept < crash_pieces(event) && j >= from->limbo && number < first_lost)
				first_lost = number;
		}
	}
	cut.met[CRASH_REORDERED] = first_lost < last_kept;
	return cut;
}

/* ---- putting together ---- */

/* The node of path below the root; CRASH_NODE_NONE when it is not there. */
static uint32_t
crash_disk_find(const struct crash_disk *disk, const char *name)
{
	const struct crash_entry *entry = disk->count == 0 ? NULL : crash_node_find(&disk->nodes[CRASH_ROOT], name);

	return entry == NULL ? CRASH_NODE_NONE : entry->node;
}

/* A file of another disk takes the place of that of the same name in the folder. */
static void
crash_disk_replace(struct crash_disk *disk, uint32_t folder, const char *name, const struct crash_node *other)
{
	uint32_t number = disk->count;
	struct crash_node *node = crash_disk_node(disk, number);

	if (other->size > 0)
		crash_node_put(node, 0, other->data, other->size);
	crash_node_link(&disk->nodes[folder], name, number);
}

/* Makes files and folders of it, below path, which is there and empty; the log gets to know them. */
static void
crash_disk_write(const struct crash_disk *disk, uint32_t number, const char *path, struct crash_log *log)
{
	const struct crash_node *node = &disk->nodes[number];
	struct stat status;
	char below[PATH_MAX];
	uint64_t length = node->size;
	int file;

	if (node->is_folder) {
		if (number != CRASH_ROOT && syscall(SYS_mkdirat, AT_FDCWD, path, 0700) < 0)
			abort();
		for (uint32_t i = 0; i < node->entry_count; i++) {
			snprintf(below, sizeof(below), "%s/%s", path, node->entries[i].name);
			crash_disk_write(disk, node->entries[i].node, below, log);
		}
	} else {
		while (length > 0 && node->data[length - 1] == '\0')
			length--;
		file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (file < 0 || syscall(SYS_ftruncate, file, node->size) < 0 ||
		    syscall(SYS_pwrite64, file, node->data, length, 0L) != (long)length)
			abort();
		close(file);
	}
	if (stat(path, &status) < 0)
		abort();
	log->inodes[number] = status.st_ino;
}

/* A log that goes on from this disk, written below path. */
static void
crash_disk_begin(const struct crash_disk *disk, const char *path, struct crash_log *log)
{
	log->count = 0;
	log->octets = 0;
	log->node_count = disk->count;
	memset(log->inodes, 0, disk->count * sizeof(log->inodes[0]));
	crash_disk_write(disk, CRASH_ROOT, path, log);
}

#endif
