/* place - see place.h */
#include "master/matador/place.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/conf/table.h"

#define INCLUDE_DEPTH_MAX 8
#define FILE_SIZE_MAX (1 << 20)
#define TOKEN_SIZE PATH_MAX

enum token { TOKEN_END, TOKEN_TEXT, TOKEN_EQUALS, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_OTHER };

static const char *
skip_blanks(const char *next)
{
	for (;;) {
		next += strspn(next, " \t\r\n");
		if (*next != '#')
			return next;
		next += strcspn(next, "\n");
	}
}

/* Reads one token; the text of a word or a string goes to token, cut at its size. */
static enum token
next_token(const char **text, char token[static TOKEN_SIZE])
{
	const char *next = skip_blanks(*text);
	size_t length = 0;

	*text = next + 1;
	switch (*next) {
	case '\0':
		*text = next;
		return TOKEN_END;
	case '=':
		return TOKEN_EQUALS;
	case '{':
		return TOKEN_OPEN;
	case '}':
		return TOKEN_CLOSE;
	case ',':
		return TOKEN_OTHER;
	case '"':
		for (next++; *next != '\0' && *next != '"'; next++) {
			if (*next == '\\' && next[1] != '\0')
				next++;
			if (length < TOKEN_SIZE - 1)
				token[length++] = *next;
		}
		*text = next + (*next == '"');
		break;
	default:
		length = strcspn(next, " \t\r\n=,{}\"#");
		*text = next + (length == 0 ? 1 : length);
		if (length > TOKEN_SIZE - 1)
			length = TOKEN_SIZE - 1;
		memcpy(token, next, length);
		break;
	}
	token[length] = '\0';
	return TOKEN_TEXT;
}

bool
place_scan(const char *text, const char *key, char *value, size_t size,
    bool (*include)(void *context, const char *file), void *context)
{
	static const char *const include_word = "include";
	char last[TOKEN_SIZE] = "", current[TOKEN_SIZE];
	enum token kind, kind_before = TOKEN_OTHER;
	bool value_follows = false;
	unsigned depth = 0;

	while ((kind = next_token(&text, current)) != TOKEN_END) {
		if (kind == TOKEN_OPEN)
			depth++;
		else if (kind == TOKEN_CLOSE && depth > 0)
			depth--;
		else if (kind == TOKEN_TEXT && value_follows) {
			snprintf(value, size, "%s", current);
			return true;
		} else if (kind == TOKEN_TEXT && depth == 0 && kind_before == TOKEN_TEXT && strcmp(last, include_word) == 0 &&
		    include != NULL && include(context, current))
			return true;
		value_follows = kind == TOKEN_EQUALS && kind_before == TOKEN_TEXT && depth == 0 && strcmp(last, key) == 0;
		kind_before = kind;
		if (kind == TOKEN_TEXT)
			memcpy(last, current, sizeof(last));
	}
	return false;
}

/* ---- files ---- */

struct search {
	const char *folder;
	const char *key;
	char *value;
	size_t size;
	unsigned depth;
	struct error *error;
};

static bool search_included(void *context, const char *pattern);

/* 1: found; 0: not there; -1: the file cannot be read. */
static int
search_file(struct search *search, const char *path)
{
	struct buffer text = BUFFER_INITIALIZER(FILE_SIZE_MAX);
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = -1;
	char *room;
	int result;

	while (file != -1 && (room = buffer_reserve(&text, 4096)) != NULL && (got = read(file, room, 4096)) > 0)
		buffer_commit(&text, (size_t)got);
	if (got == -1) {
		error_system(search->error, errno, "reading %s", path);
		result = -1;
	} else {
		result = place_scan(buffer_text(&text), search->key, search->value, search->size, search_included, search);
	}
	if (file != -1)
		close(file);
	buffer_free(&text);
	return result;
}

static bool
search_included(void *context, const char *pattern)
{
	struct search *search = context;
	char path[PATH_MAX];
	glob_t matches;
	bool found = false;

	if (search->depth >= INCLUDE_DEPTH_MAX)
		return false;
	snprintf(path, sizeof(path), "%.1024s%s%.2048s", pattern[0] == '/' ? "" : search->folder, pattern[0] == '/' ? "" : "/",
	    pattern);
	if (glob(path, 0, NULL, &matches) != 0)
		return false;
	search->depth++;
	for (size_t i = 0; i < matches.gl_pathc && !found; i++)
		found = search_file(search, matches.gl_pathv[i]) == 1;
	search->depth--;
	globfree(&matches);
	return found;
}

static int
find_one(const char *folder, const char *key, char value[static PATH_MAX], struct error *error)
{
	struct search search = { .folder = folder, .key = key, .value = value, .size = PATH_MAX, .error = error };
	char path[PATH_MAX];
	int found;

	snprintf(path, sizeof(path), "%.4000s/matador.conf", folder);
	found = search_file(&search, path);
	if (found == 0)
		snprintf(value, PATH_MAX, "%s", setting_row_find(KIND_matador, "", key)->default_text);
	return found == -1 ? -1 : 0;
}

int
place_find(const char *folder, struct place *place_out, struct error *error)
{
	if (find_one(folder, "control_socket", place_out->control_socket, error) == -1 ||
	    find_one(folder, "spool_directory", place_out->spool_directory, error) == -1 ||
	    find_one(folder, "program_directory", place_out->program_directory, error) == -1)
		return -1;
	snprintf(place_out->submit_socket, sizeof(place_out->submit_socket), "%.4000s.submit", place_out->control_socket);
	return 0;
}
