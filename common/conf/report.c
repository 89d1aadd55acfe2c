/* report - see report.h */
#include "common/conf/report.h"

#include <stdarg.h>
#include <stdio.h>

/* More than anyone reads; what goes beyond is counted, not kept. */
#define LONGEST_REPORT ((size_t)4 * 1024 * 1024)

static void PRINTF_LIKE(4, 0)
append_line(struct buffer *lines, struct position at, const char *key, const char *format, va_list arguments)
{
	char text[2048];

	vsnprintf(text, sizeof(text), format, arguments);
	if (lines->length >= LONGEST_REPORT)
		return;
	buffer_append_string(lines, at.file);
	if (at.line > 0)
		buffer_printf(lines, ":%u", at.line);
	buffer_printf(lines, ": %s: %s\n", key, text);
}

void
report_error(struct documents_report *report, struct position at, const char *key, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	append_line(&report->errors, at, key, format, arguments);
	va_end(arguments);
	report->error_count++;
}

void
report_warning(struct documents_report *report, struct position at, const char *key, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	append_line(&report->warnings, at, key, format, arguments);
	va_end(arguments);
	report->warning_count++;
}
