/* notes_name - see notes_name.h */
#include "common/mail/notes_name.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Behind the "CN=" of a part of a canonical name; part itself when it has none. */
static const char *
behind_type(const char *part)
{
	static const char *const types[] = { "CN=", "OU=", "OU1=", "OU2=", "OU3=", "OU4=", "O=", "C=" };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strncasecmp(part, types[i], strlen(types[i])) == 0)
			return part + strlen(types[i]);
	return part;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Copies one part up to its '/', blanks at its ends dropped and inside made one. Returns what follows the part. */
static const char *
copy_part(const char *part, char **to)
{
	bool blank = false, began = false;

	for (; *part != '\0' && *part != '/'; part++) {
		if (is_blank(*part)) {
			blank = began;
			continue;
		}
		if (blank)
			*(*to)++ = ' ';
		*(*to)++ = *part;
		blank = false;
		began = true;
	}
	return part;
}

bool
notes_name_abbreviate(const char *name, char out[static NOTES_NAME_MAX])
{
	char *to = out;
	bool canonical;

	out[0] = '\0';
	if (strlen(name) >= NOTES_NAME_MAX)
		return false;
	while (is_blank(*name))
		name++;
	/* Only a name that begins with a type has types: "Smith/O=Brien" is somebody's odd but plain name. */
	canonical = behind_type(name) != name;
	for (;;) {
		while (is_blank(*name))
			name++;
		name = copy_part(canonical ? behind_type(name) : name, &to);
		if (*name == '\0')
			break;
		*to++ = '/';
		name++;
	}
	*to = '\0';
	return true;
}

bool
notes_name_canonicalize(const char *name, char out[static NOTES_NAME_MAX])
{
	char plain[NOTES_NAME_MAX], *part, *rest = plain;
	size_t length = 0;
	bool first = true;

	if (!notes_name_abbreviate(name, plain))
		return false;
	if (strchr(plain, '/') == NULL) {
		strcpy(out, plain);
		return true;
	}
	while ((part = strsep(&rest, "/")) != NULL) {
		int added = snprintf(out + length, NOTES_NAME_MAX - length, "%s%s%s", first ? "" : "/",
		    first ? "CN=" : rest == NULL ? "O=" : "OU=", part);

		if (added < 0 || (size_t)added >= NOTES_NAME_MAX - length)
			return false;
		length += (size_t)added;
		first = false;
	}
	return true;
}

bool
notes_name_common(const char *name, char out[static NOTES_NAME_MAX])
{
	if (!notes_name_abbreviate(name, out))
		return false;
	out[strcspn(out, "/")] = '\0';
	return true;
}

bool
notes_name_key(const char *name, char out[static NOTES_NAME_MAX])
{
	if (!notes_name_abbreviate(name, out))
		return false;
	for (char *c = out; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return true;
}

bool
notes_name_is_hierarchical(const char *name)
{
	return strchr(name, '/') != NULL;
}

bool
notes_name_equal(const char *a, const char *b)
{
	char key_a[NOTES_NAME_MAX], key_b[NOTES_NAME_MAX];

	return notes_name_key(a, key_a) && notes_name_key(b, key_b) && strcmp(key_a, key_b) == 0;
}

bool
notes_name_loose_key(const char *name, char out[static NOTES_NAME_MAX])
{
	char blanks[NOTES_NAME_MAX];
	size_t length = strlen(name);

	if (length >= sizeof(blanks))
		return false;
	for (size_t i = 0; i <= length; i++)
		blanks[i] = name[i] == '_' || name[i] == '.' ? ' ' : name[i];
	return notes_name_key(blanks, out);
}
