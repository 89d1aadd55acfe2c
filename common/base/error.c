/* error - see error.h */
#include "common/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
error_set(struct error *error, enum error_kind kind, const char *format, ...)
{
	va_list arguments;

	if (error == NULL)
		return -1;
	error->kind = kind;
	error->number = 0;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	return -1;
}

int
error_system(struct error *error, int number, const char *format, ...)
{
	va_list arguments;
	char reason[96];
	size_t length;

	if (error == NULL)
		return -1;
	error->kind = ERROR_SYSTEM;
	error->number = number;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	length = strlen(error->text);
	snprintf(error->text + length, sizeof(error->text) - length, ": %s",
	    strerror_r(number, reason, sizeof(reason)));
	return -1;
}

int
error_prefix(struct error *error, const char *format, ...)
{
	va_list arguments;
	char text[sizeof(error->text)];

	if (error == NULL)
		return -1;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	strlcat(text, ": ", sizeof(text));
	strlcat(text, error->text, sizeof(text));
	memcpy(error->text, text, sizeof(text));
	return -1;
}

bool
error_is_temporary(const struct error *error)
{
	switch (error->kind) {
	case ERROR_NONE:
	case ERROR_INVALID:
	case ERROR_DAMAGED:
		return false;
	case ERROR_SYSTEM:
	case ERROR_LIMIT:
	case ERROR_UNAVAILABLE:
		return true;
	}
	return true;
}
