/* damage - see damage.h */
#include "qmgr/store/damage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

bool
damage_set_aside(const struct journal *journal, uint64_t serial, uint64_t offset, const void *octets, uint64_t length)
{
	const char *next = octets;
	char name[80];
	int file;

	if (mkdirat(journal->folder, "damaged", 0700) < 0 && errno != EEXIST)
		return true;
	snprintf(name, sizeof(name), "damaged/segment-%llu-offset-%llu", (unsigned long long)serial,
	    (unsigned long long)offset);
	file = openat(journal->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file < 0)
		return errno != EEXIST;
	while (length > 0) {
		ssize_t put = write(file, next, length);

		if (put <= 0)
			break;
		next += put;
		length -= (uint64_t)put;
	}
	fsync(file);
	close(file);
	return true;
}
