/*
 * bad_disk - a page of the journal that cannot be read, for tests that put their own pread() in the library's place
 *
 * A message is one record, which begins a page. Only short reads fail, those of single entries, unless the whole segment is
 * said to be bad too; what reads one at a start is tested in test_recovery.c.
 */
#ifndef TESTS_UNIT_QMGR_BAD_DISK_H
#define TESTS_UNIT_QMGR_BAD_DISK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "qmgr/store/segment.h"

#define WHOLE 65536		/* a read of at least so much is of a whole segment */
#define FUTURE INT64_C(4102444800000)

static _Atomic uint64_t bad_begin, bad_end;	/* octets of all segments; end 0: nothing is bad */
static _Atomic bool bad_for_whole;		/* for reads of a whole segment too */

/* Of a segment, and not of a whole one. */
static bool
is_read_of_entry(int file, size_t length)
{
	char link[64], path[256];
	ssize_t count;

	if (length >= WHOLE && !bad_for_whole)
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
	count = readlink(link, path, sizeof(path) - 1);
	if (count < 0)
		return false;
	path[count] = '\0';
	return strstr(path, "/journal/seg-") != NULL;
}

static bool
is_bad(size_t length, off_t offset)
{
	return (uint64_t)offset < bad_end && (uint64_t)offset + length > bad_begin;
}

/* The first record of a segment begins page 1, two pages behind its start. */
static void
make_bad(uint64_t page)
{
	bad_begin = (page + 1) * SEGMENT_PAGE;
	bad_end = bad_begin + SEGMENT_PAGE;
}

#endif
