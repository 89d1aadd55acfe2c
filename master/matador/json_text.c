/* json_text - see json_text.h */
#include "master/matador/json_text.h"

#include <stddef.h>

#include "common/base/buffer.h"
#include "common/base/utf8.h"

/* Length of the UTF-8 character at text, 0 when there is none. */
static size_t
character_length(const char *text)
{
	for (size_t length = 1; length <= 4 && text[length - 1] != '\0'; length++)
		if (utf8_is_valid(text, length))
			return length;
	return 0;
}

cJSON *
json_make_text(const char *text)
{
	struct buffer clean = BUFFER_INITIALIZER(0);
	cJSON *made;

	for (const char *next = text == NULL ? "" : text; *next != '\0';) {
		size_t length = character_length(next);

		if (length == 0)
			buffer_append_string(&clean, "\xef\xbf\xbd");
		else
			buffer_append(&clean, next, length);
		next += length == 0 ? 1 : length;
	}
	made = cJSON_CreateString(buffer_text(&clean));
	buffer_free(&clean);
	return made;
}

void
json_add_text(cJSON *object, const char *name, const char *text)
{
	cJSON_AddItemToObject(object, name, json_make_text(text));
}
