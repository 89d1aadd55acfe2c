/*
 * clock - deadlines and the times that go on disk
 *
 * Waits are absolute deadlines on the monotonic clock, made once and passed down. Ages advance by
 * CLOCK_BOOTTIME; only what people read is wall time.
 */
#ifndef COMMON_BASE_CLOCK_H
#define COMMON_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/time.h>

/* A point on the monotonic clock, in milliseconds; DEADLINE_NEVER never comes. */
typedef int64_t deadline_t;
#define DEADLINE_NEVER INT64_MAX

int64_t clock_monotonic_ms(void);
/* Milliseconds since boot, suspended time included. */
int64_t clock_boottime_ms(void);
/* A number for this boot of the system, another one for each; 0 when it cannot be told. Opens a file of /proc: before a jail. */
uint64_t clock_boot_number(void);
/* Wall time, in milliseconds since 1970. May jump. */
int64_t clock_wall_ms(void);

deadline_t deadline_after_ms(int64_t milliseconds);
deadline_t deadline_earlier(deadline_t a, deadline_t b);
bool deadline_passed(deadline_t deadline);
/* Milliseconds left, 0 when it passed, INT64_MAX for DEADLINE_NEVER. */
int64_t deadline_remaining_ms(deadline_t deadline);
/* The remaining time for event_add(3). */
struct timeval deadline_timeval(deadline_t deadline);

/* RFC 5322 date-time of a wall time in the local zone, e.g. "Sun, 22 Nov 2026 12:12:38 +0000". text holds 40 bytes. */
void clock_format_rfc5322(int64_t wall_ms, char text[static 40]);
/* RFC 3339 in UTC, e.g. "2026-11-22T12:12:38Z". text holds 32 bytes. */
void clock_format_rfc3339(int64_t wall_ms, char text[static 32]);
/* The same with milliseconds, "2026-11-22T12:12:38.250Z". text holds 32 bytes. */
void clock_format_rfc3339_ms(int64_t wall_ms, char text[static 32]);

#endif
