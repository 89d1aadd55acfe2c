/* clock - see clock.h */
#include "common/base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t
read_clock_ms(clockid_t which)
{
	struct timespec now;

	clock_gettime(which, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t
clock_monotonic_ms(void)
{
	return read_clock_ms(CLOCK_MONOTONIC);
}

int64_t
clock_boottime_ms(void)
{
	return read_clock_ms(CLOCK_BOOTTIME);
}

uint64_t
clock_boot_number(void)
{
	uint64_t number = 0;
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (file == NULL)
		return 0;
	if (fscanf(file, "%8" SCNx64 "-", &number) != 1)
		number = 0;
	fclose(file);
	return number;
}

int64_t
clock_wall_ms(void)
{
	return read_clock_ms(CLOCK_REALTIME);
}

deadline_t
deadline_after_ms(int64_t milliseconds)
{
	return clock_monotonic_ms() + milliseconds;
}

deadline_t
deadline_earlier(deadline_t a, deadline_t b)
{
	return a < b ? a : b;
}

bool
deadline_passed(deadline_t deadline)
{
	return deadline != DEADLINE_NEVER && clock_monotonic_ms() >= deadline;
}

int64_t
deadline_remaining_ms(deadline_t deadline)
{
	int64_t remaining;

	if (deadline == DEADLINE_NEVER)
		return INT64_MAX;
	remaining = deadline - clock_monotonic_ms();
	return remaining > 0 ? remaining : 0;
}

struct timeval
deadline_timeval(deadline_t deadline)
{
	int64_t remaining = deadline_remaining_ms(deadline);

	return (struct timeval){ .tv_sec = remaining / 1000, .tv_usec = (remaining % 1000) * 1000 };
}

void
clock_format_rfc5322(int64_t wall_ms, char text[static 40])
{
	/* strftime's names follow the locale; mail's do not. */
	static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep",
		"Oct", "Nov", "Dec" };
	time_t seconds = wall_ms / 1000;
	struct tm local;
	long offset;

	localtime_r(&seconds, &local);
	offset = local.tm_gmtoff / 60;
	snprintf(text, 40, "%s, %d %s %04d %02d:%02d:%02d %c%02ld%02ld", days[local.tm_wday % 7],
	    local.tm_mday % 32, months[local.tm_mon % 12], (local.tm_year + 1900) % 10000, local.tm_hour % 24,
	    local.tm_min % 60, local.tm_sec % 61, offset < 0 ? '-' : '+',
	    (offset < 0 ? -offset : offset) / 60 % 100, (offset < 0 ? -offset : offset) % 60);
}

void
clock_format_rfc3339(int64_t wall_ms, char text[static 32])
{
	time_t seconds = wall_ms / 1000;
	struct tm utc;

	gmtime_r(&seconds, &utc);
	strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

void
clock_format_rfc3339_ms(int64_t wall_ms, char text[static 32])
{
	size_t length;

	clock_format_rfc3339(wall_ms, text);
	length = strlen(text);
	snprintf(text + length - 1, 32 - (length - 1), ".%03dZ", (int)(wall_ms % 1000));
}
