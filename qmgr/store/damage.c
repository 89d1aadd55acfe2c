/* damage - see damage.h */
#include "qmgr/store/damage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/identifier.h"
#include "common/base/memory.h"

#define NAME_SIZE 80
#define COPY_SIZE (128 * 1024)

/* A new file, or -1; *new_out: there was none of that name. */
static int
begin(const struct journal *journal, const char *name, bool *new_out)
{
	int file = -1;

	if (mkdirat(journal->folder, "damaged", 0700) == 0 || errno == EEXIST)
		file = openat(journal->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	*new_out = file >= 0 || errno != EEXIST;
	return file;
}

static bool
write_all(int file, const char *next, uint64_t length)
{
	while (length > 0) {
		ssize_t put = write(file, next, length);

		if (put <= 0)
			return false;
		next += put;
		length -= (uint64_t)put;
	}
	return true;
}

static void
finish(int file)
{
	fsync(file);
	close(file);
}

bool
damage_set_aside(const struct journal *journal, uint64_t serial, uint64_t offset, const void *octets, uint64_t length)
{
	char name[NAME_SIZE];
	bool new;
	int file;

	snprintf(name, sizeof(name), "damaged/segment-%llu-offset-%llu", (unsigned long long)serial,
	    (unsigned long long)offset);
	file = begin(journal, name, &new);
	if (file >= 0) {
		write_all(file, octets, length);
		finish(file);
	}
	return new;
}

bool
damage_set_aside_body(const struct journal *journal, uint64_t id, int body)
{
	char name[NAME_SIZE], text[IDENTIFIER_TEXT_SIZE];
	uint64_t offset = 0;
	ssize_t got = 0;
	char *room;
	bool new;
	int file;

	identifier_format(id, text);
	snprintf(name, sizeof(name), "damaged/body-%s", text);
	file = begin(journal, name, &new);
	if (file < 0)
		return new;
	room = memory_resize(NULL, COPY_SIZE, 1);
	while ((got = segment_pread(body, room, COPY_SIZE, offset)) > 0 && write_all(file, room, (uint64_t)got))
		offset += (uint64_t)got;
	free(room);
	finish(file);
	return new;
}
