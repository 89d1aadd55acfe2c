/*
 * inject_syscalls - makes a live process call openat or execve, and says how the kernel answered
 *
 * usage: inject_syscalls PID openat|execve PATH
 * Attaches with ptrace, lets the process execute one syscall instruction with our arguments (the path lies below its
 * stack pointer), reads the result, restores registers and memory, detaches. Prints "ok" or the name of the errno.
 * x86-64 and aarch64 Linux.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <fcntl.h>

static void
fail(const char *what)
{
	perror(what);
	exit(2);
}

int
main(int argc, char **argv)
{
	struct user_regs_struct saved, changed;
	struct iovec saved_io = { &saved, sizeof(saved) }, changed_io = { &changed, sizeof(changed) };
	unsigned long words[64] = { 0 }, kept[64], instruction, kept_instruction, address;
	long result;
	int status;
	pid_t pid;

	if (argc != 4 || strlen(argv[3]) >= sizeof(words))
		return 2;
	pid = atoi(argv[1]);
	if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) != 0)
		fail("attach");
	waitpid(pid, &status, 0);
	if (ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &saved_io) != 0)
		fail("registers");
	changed = saved;
#if defined(__x86_64__)
	address = (saved.rsp - 4096) & ~15UL;
	changed.rip = saved.rip;
#define PROGRAM_COUNTER saved.rip
	instruction = 0x050f;		/* syscall */
	changed.rax = strcmp(argv[2], "execve") == 0 ? SYS_execve : SYS_openat;
	changed.orig_rax = (unsigned long)-1;
	if (changed.rax == SYS_openat) {
		changed.rdi = (unsigned long)AT_FDCWD;
		changed.rsi = address;
		changed.rdx = O_RDONLY;
	} else {
		changed.rdi = address;
		changed.rsi = 0;
		changed.rdx = 0;
	}
#elif defined(__aarch64__)
	address = (saved.sp - 4096) & ~15UL;
#define PROGRAM_COUNTER saved.pc
	instruction = 0xd4000001;	/* svc #0 */
	changed.regs[8] = strcmp(argv[2], "execve") == 0 ? SYS_execve : SYS_openat;
	if (changed.regs[8] == SYS_openat) {
		changed.regs[0] = (unsigned long)AT_FDCWD;
		changed.regs[1] = address;
		changed.regs[2] = O_RDONLY;
	} else {
		changed.regs[0] = address;
		changed.regs[1] = 0;
		changed.regs[2] = 0;
	}
#else
#error "this processor's system call instruction is not known here"
#endif
	memcpy(words, argv[3], strlen(argv[3]));
	for (size_t i = 0; i < 64; i++) {
		kept[i] = (unsigned long)ptrace(PTRACE_PEEKDATA, pid, address + i * sizeof(long), NULL);
		if (ptrace(PTRACE_POKEDATA, pid, address + i * sizeof(long), words[i]) != 0)
			fail("poke");
	}
	errno = 0;
	kept_instruction = (unsigned long)ptrace(PTRACE_PEEKTEXT, pid, PROGRAM_COUNTER, NULL);
	if (errno != 0 || ptrace(PTRACE_POKETEXT, pid, PROGRAM_COUNTER,
	    (kept_instruction & ~0xffffffffUL) | instruction) != 0)
		fail("instruction");
	if (ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &changed_io) != 0 ||
	    ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) != 0)
		fail("step");
	waitpid(pid, &status, 0);
	if (!WIFSTOPPED(status))
		return 3;
	if (ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &changed_io) != 0)
		fail("registers");
#if defined(__x86_64__)
	result = (long)changed.rax;
#else
	result = (long)changed.regs[0];
#endif
	ptrace(PTRACE_POKETEXT, pid, PROGRAM_COUNTER, kept_instruction);
	for (size_t i = 0; i < 64; i++)
		ptrace(PTRACE_POKEDATA, pid, address + i * sizeof(long), kept[i]);
	ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &saved_io);
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	puts(result >= 0 ? "ok" : strerrorname_np((int)-result));
	return 0;
}
