/*
 * evaluator_child - see evaluator_child.h
 *
 * SECURITY: behind lock_in() the process can read and write one pair of sockets, have memory, and end. Whoever takes it over can
 * give wrong verdicts, and nothing else: what it has in memory is what it is asked, and what policy knew when it started. What does not
 * go as planned ends it: it never computes with more rights than these.
 */
#include "policy/evaluator_child.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/wire.h"

#define PAIR 0			/* the one descriptor */
#define MEMORY_MAX (256u << 20)

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* ---- giving up everything --------------------------------------------------------------------- */

/* Signals as after a start of the program; the event loop's handlers are not for these processes. */
static void
reset_signals(void)
{
	sigset_t none;
	int number;

	for (number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool
keep_only(int socket)
{
	/* Sanitizers say on standard error what they found. */
	return dup2(socket, PAIR) == PAIR && close_range(1, SANITIZED ? 1 : ~0u, 0) == 0 && close_range(3, ~0u, 0) == 0;
}

static bool
limit(int resource, rlim_t value)
{
	return setrlimit(resource, &(struct rlimit){ value, value }) == 0;
}

static bool
limit_resources(void)
{
	return limit(RLIMIT_CORE, 0) && limit(RLIMIT_NPROC, 0) && limit(RLIMIT_FSIZE, 0) &&
	    (SANITIZED || (limit(RLIMIT_NOFILE, PAIR + 1) && limit(RLIMIT_AS, MEMORY_MAX)));
}

/* What malloc(3), the C library and our own loop need; uname is libspf2's. Memory that can be executed is not to be had. */
static bool
filter_system_calls(void)
{
	static const int allowed[] = { SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap),
		SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(getrandom), SCMP_SYS(clock_gettime), SCMP_SYS(setitimer),
		SCMP_SYS(uname), SCMP_SYS(restart_syscall), SCMP_SYS(exit), SCMP_SYS(exit_group) };
	scmp_filter_ctx filter;
	bool is_filtered = true;
	size_t i;

	if (SANITIZED)
		return true;
	filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (filter == NULL)
		return false;
	for (i = 0; i < ARRAY_COUNT(allowed); i++)
		is_filtered &= seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0) == 0;
	is_filtered = is_filtered &&
	    seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0 &&
	    seccomp_load(filter) == 0;
	seccomp_release(filter);
	return is_filtered;
}

/* A process that has but this socket and ends with its parent. */
static bool
stand_alone(int socket, pid_t parent, const char *name)
{
	reset_signals();
	return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent && keep_only(socket) &&
	    prctl(PR_SET_NAME, name) == 0;
}

static bool
lock_in(int socket, pid_t parent)
{
	return stand_alone(socket, parent, "evaluator") && limit_resources() && filter_system_calls();
}

/* ---- answering -------------------------------------------------------------------------------- */

static bool
read_whole(void *octets, size_t length)
{
	char *next = octets;

	while (length > 0) {
		ssize_t count = read(PAIR, next, length);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return false;
		next += count;
		length -= (size_t)count;
	}
	return true;
}

static bool
write_whole(const char *next, size_t length)
{
	while (length > 0) {
		ssize_t count = write(PAIR, next, length);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return false;
		next += count;
		length -= (size_t)count;
	}
	return true;
}

static bool
read_request(struct buffer *request)
{
	uint8_t header[sizeof(uint32_t)];
	struct wire_reader reader;
	size_t length;

	if (!read_whole(header, sizeof(header)))
		return false;
	wire_reader_init(&reader, header, sizeof(header));
	length = wire_get_u32(&reader);
	buffer_clear(request);
	if (length > EVALUATOR_REQUEST_MAX || !read_whole(buffer_reserve(request, length), length))
		return false;
	buffer_commit(request, length);
	return true;
}

/* SIGPROF ends a process that computes for longer. */
static void
limit_processor(time_t seconds)
{
	setitimer(ITIMER_PROF, &(struct itimerval){ .it_value = { .tv_sec = seconds } }, NULL);
}

static bool
answer(const struct buffer *request, evaluator_compute_cb compute)
{
	struct buffer reply = BUFFER_INITIALIZER(EVALUATOR_REPLY_MAX), packet = BUFFER_INITIALIZER(0);
	bool is_answered;

	limit_processor(EVALUATOR_PROCESSOR_SECONDS);
	is_answered = compute(request->data, request->length, &reply);
	limit_processor(0);
	if (is_answered) {
		wire_put_bytes(&packet, buffer_text(&reply), reply.length);
		is_answered = write_whole(packet.data, packet.length);
	}
	buffer_free(&reply);
	buffer_free(&packet);
	return is_answered;
}

static void NO_RETURN
run_evaluator(int socket, pid_t parent, evaluator_compute_cb compute)
{
	struct buffer request = BUFFER_INITIALIZER(EVALUATOR_REQUEST_MAX);

	if (!lock_in(socket, parent))
		_exit(EX_OSERR);
	while (read_request(&request) && answer(&request, compute))
		;
	_exit(EX_OK);
}

/* ---- the template ----------------------------------------------------------------------------- */

/* The end of a pair for the next evaluator, or -1: there will be none. */
static int
receive_socket(void)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	char octet;
	struct iovec vector = { .iov_base = &octet, .iov_len = sizeof(octet) };
	struct msghdr packet = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t count;
	int socket;

	while ((count = recvmsg(PAIR, &packet, 0)) < 0 && errno == EINTR)
		;
	if (count != 1 || CMSG_FIRSTHDR(&packet) == NULL)
		return -1;
	memcpy(&socket, CMSG_DATA(CMSG_FIRSTHDR(&packet)), sizeof(socket));
	return socket;
}

void
evaluator_template_run(int socket, pid_t parent, evaluator_compute_cb compute)
{
	pid_t process;
	int given;

	if (!stand_alone(socket, parent, "eval-template"))
		_exit(EX_OSERR);
	while ((given = receive_socket()) >= 0) {
		/* policy's own child, not a grandchild: it waits for it, and sees how it ended. */
		process = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, 0);
		if (process == 0)
			run_evaluator(given, parent, compute);
		if (process < 0)
			process = -errno;
		close(given);
		if (!write_whole((const char *)&process, sizeof(process)))
			break;
	}
	_exit(EX_OK);
}
