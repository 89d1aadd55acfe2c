/*
 * host_memory - which mail hosts failed a while ago, for everyone who would try them
 *
 * A host is a name and a port. It is remembered as failed until its time is over, somebody reports that it works,
 * or too many others have failed since: the memory is bounded and forgets the oldest first. Reloads leave it alone.
 *
 * Times are milliseconds of clock_boottime_ms(), given by the caller.
 */
#ifndef RESOLVER_HOST_MEMORY_H
#define RESOLVER_HOST_MEMORY_H

#include <stddef.h>
#include <stdint.h>

struct host_memory;

struct host_memory *host_memory_new(size_t hosts_max);
void host_memory_free(struct host_memory **memory);

/*
 * The host failed at now; text (copied, cut to what common/ipc/dns.def allows) says how. Names are compared without
 * case.
 */
void host_memory_failed(struct host_memory *memory, const char *name, uint16_t port, const char *text, int64_t now,
    int64_t remember_ms);
void host_memory_works(struct host_memory *memory, const char *name, uint16_t port);

/*
 * For how many more milliseconds the host is remembered as failed; 0 when it is not. *text_out is what went wrong,
 * or ""; borrowed until the next call of any function.
 */
int64_t host_memory_remaining(struct host_memory *memory, const char *name, uint16_t port, int64_t now,
    const char **text_out);

/* Remembered now, or not yet looked at since their time was over. */
size_t host_memory_count(const struct host_memory *memory);

#endif
