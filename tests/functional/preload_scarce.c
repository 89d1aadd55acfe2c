/*
 * preload_scarce - a program that runs out of descriptors or of memory whenever a test says so
 *
 *	cc -shared -fPIC -O2 -D_GNU_SOURCE -o scarce.so preload_scarce.c -ldl
 *	SCARCE=FILE LD_PRELOAD=scarce.so ...
 *
 * FILE holds three signed 64-bit numbers in the machine's order. While the first is not 0 no call gives a new descriptor: EMFILE, and
 * what comes with a packet is dropped, as the kernel does it. While the second is N, every Nth allocation fails. The third counts what
 * was refused. The file is mapped before the program shuts itself in.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

static int64_t plenty[3];
static volatile int64_t *scarce = plenty;

__attribute__((constructor)) static void
map_file(void)
{
	const char *path = getenv("SCARCE");
	int file = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
	void *place = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(plenty), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

	if (place == MAP_FAILED)
		abort();
	close(file);
	scarce = place;
}

static void
count_refusal(void)
{
	__atomic_add_fetch(&scarce[2], 1, __ATOMIC_RELAXED);
}

/* ---- descriptors ---- */

static int
none_left(void)
{
	if (scarce[0] == 0)
		return 0;
	count_refusal();
	errno = EMFILE;
	return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int
openat(int folder, const char *path, int flags, ...)
{
	va_list arguments;
	int mode;

	va_start(arguments, flags);
	mode = va_arg(arguments, int);
	va_end(arguments);
	return none_left() ? -1 : REAL(openat)(folder, path, flags, mode);
}

int
open(const char *path, int flags, ...)
{
	va_list arguments;
	int mode;

	va_start(arguments, flags);
	mode = va_arg(arguments, int);
	va_end(arguments);
	return none_left() ? -1 : REAL(openat)(AT_FDCWD, path, flags, mode);
}

int
accept4(int listener, struct sockaddr *address, socklen_t *length, int flags)
{
	return none_left() ? -1 : REAL(accept4)(listener, address, length, flags);
}

int
socket(int domain, int type, int protocol)
{
	return none_left() ? -1 : REAL(socket)(domain, type, protocol);
}

int
dup(int file)
{
	return none_left() ? -1 : REAL(dup)(file);
}

static void
drop_descriptors(struct msghdr *message)
{
	struct cmsghdr *control;

	for (control = CMSG_FIRSTHDR(message); control != NULL; control = CMSG_NXTHDR(message, control)) {
		size_t i, count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int files[256];

		if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS || count > 256)
			continue;
		count_refusal();
		memcpy(files, CMSG_DATA(control), count * sizeof(int));
		for (i = 0; i < count; i++)
			close(files[i]);
		message->msg_flags |= MSG_CTRUNC;
	}
	message->msg_controllen = 0;
}

int
recvmmsg(int socket, struct mmsghdr *messages, unsigned count, int flags, struct timespec *limit)
{
	int i, got = REAL(recvmmsg)(socket, messages, count, flags, limit);

	for (i = 0; i < got; i++)
		if (scarce[0] != 0 && messages[i].msg_hdr.msg_controllen != 0)
			drop_descriptors(&messages[i].msg_hdr);
	return got;
}

/* ---- memory ---- */

static int
no_memory(void)
{
	static uint64_t count;

	if (scarce[1] == 0 || __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED) % (uint64_t)scarce[1] != 0)
		return 0;
	count_refusal();
	errno = ENOMEM;
	return 1;
}

void *
malloc(size_t size)
{
	return no_memory() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
	return no_memory() ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *memory, size_t size)
{
	return no_memory() ? NULL : __libc_realloc(memory, size);
}
