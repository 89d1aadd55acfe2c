/* parser - files, includes, and what scanner and grammar ask for: see parser.h */
#include "common/conf/parser.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/conf/report.h"
#include "common/base/utf8.h"

/* A Directory of a million people is a tenth of this. */
#define LARGEST_FILE ((off_t)1 << 30)

/* ---- for the scanner ---- */

void
parser_token(struct parser *parser, struct parsed_text token, bool is_word)
{
	parser->current = token;
	parser->before = parser->word;
	if (is_word && token.text != NULL)
		parser->word = token;
}

/* The word that a mistake is about, as the KEY of its line. */
static void
copy_key(struct parsed_text word, char key[static 64])
{
	if (word.text == NULL)
		strcpy(key, "-");
	else
		snprintf(key, 64, "%.*s", word.length > 60 ? 60 : (int)word.length, word.text);
}

/* Reports a mistake inside the current token. */
static struct parsed_text
refuse_token(struct parser *parser, const char *problem)
{
	char key[64];

	copy_key(parser->in_value ? parser->key : parser->word, key);
	report_error(parser->builder->report, builder_here(parser->builder, parser->line), key, "%s", problem);
	return (struct parsed_text){ NULL, 0, parser->line };
}

struct parsed_text
parser_string(struct parser *parser, char *text, size_t length)
{
	size_t kept = 0;

	if (!utf8_is_valid(text, length))
		return refuse_token(parser, "found octets that are no UTF-8; allowed: UTF-8");
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return refuse_token(parser, "found a control character in a text; allowed: printable "
			    "characters");
		if (text[i] == '\\') {
			i++;	/* the scanner saw that something follows */
			if (text[i] != '"' && text[i] != '\\')
				return refuse_token(parser, "found a backslash in a text; allowed: \\\" and \\\\");
		}
		text[kept++] = text[i];
	}
	return (struct parsed_text){ text, kept, parser->line };
}

struct parsed_text
parser_bad_string(struct parser *parser)
{
	return refuse_token(parser, "found a text without its closing quote; allowed: \"text\" on one line");
}

struct parsed_text
parser_bad_word(struct parser *parser, const char *text, size_t length)
{
	char problem[256];
	bool printable = true;

	for (size_t i = 0; i < length; i++)
		printable = printable && text[i] > ' ' && text[i] < 0x7f;
	snprintf(problem, sizeof(problem), "found %.*s; allowed without quotes: letters, digits and . _ - / : @ "
	    "[ ] + %%; other characters in \"...\"", printable ? (length > 60 ? 60 : (int)length) : 20,
	    printable ? text : "unusual characters ");
	return refuse_token(parser, problem);
}

/* ---- for the grammar ---- */

void
parser_add_item(struct parser *parser, struct parsed_text item)
{
	if (parser->item_count == parser->item_capacity) {
		parser->item_capacity = parser->item_capacity ? parser->item_capacity * 2 : 16;
		parser->items = memory_resize(parser->items, parser->item_capacity, sizeof(*parser->items));
	}
	parser->items[parser->item_count++] = item;
}

void
parser_refuse(struct parser *parser, bool at_end, const char *expected)
{
	struct parsed_text about = parser->in_value ? parser->key : at_end ? parser->word : parser->before;
	char key[64], found[64] = "the end of the file";

	copy_key(about, key);
	if (!at_end)
		copy_key(parser->current, found);
	report_error(parser->builder->report, builder_here(parser->builder, at_end ? parser->line :
	    parser->current.line), key, "found %s; allowed: %s", found, expected);
}

static void
refuse_include(struct builder *builder, uint32_t line, const char *path, const char *problem)
{
	report_error(builder->report, builder_here(builder, line), "include", "found \"%s\" (%s); allowed: a "
	    "file that can be read", path, problem);
}

static void read_included(const struct parser *outer, const char *path, uint32_t line);

/* Calls each with the path of every file of a folder that matches, in the order of their names. -1 and errno
 * when it cannot be read. */
static int
each_match(const char *folder, const char *pattern, void (*each_cb)(void *context, const char *path),
    void *context)
{
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, NULL, alphasort);

	for (int i = 0; i < count; i++) {
		char path[PATH_MAX];

		if (fnmatch(pattern, entries[i]->d_name, FNM_PERIOD) == 0 &&
		    snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name) < (int)sizeof(path))
			each_cb(context, path);
		free(entries[i]);
	}
	free(entries);
	return count < 0 ? -1 : 0;
}

struct including {
	struct parser *parser;
	uint32_t line;
};

static void
include_match(void *context, const char *path)
{
	struct including *including = context;

	read_included(including->parser, path, including->line);
}

/* Patterns match in the last component only: folder, slash, *.conf. */
static void
include_pattern(struct parser *parser, char *path, uint32_t line)
{
	struct including including = { parser, line };
	char *slash = strrchr(path, '/');

	if (slash != NULL)
		*slash = '\0';
	if (strchr(path, '*') != NULL && slash != NULL)
		refuse_include(parser->builder, line, path, "a folder with *");
	else if (each_match(slash == NULL ? "." : path, slash == NULL ? path : slash + 1, include_match,
	    &including) < 0)
		refuse_include(parser->builder, line, path, strerror(errno));
}

void
parser_include(struct parser *parser, struct parsed_text name)
{
	const char *file = parser->builder->file, *slash = strrchr(file, '/');
	char path[PATH_MAX];
	int length;

	if (name.text == NULL)
		return;
	if (!builder_is_outside(parser->builder)) {
		report_error(parser->builder->report, builder_here(parser->builder, name.line), "include",
		    "found inside of a document; allowed: between documents");
		return;
	}
	length = snprintf(path, sizeof(path), "%.*s%.*s", name.text[0] == '/' || slash == NULL ? 0 :
	    (int)(slash - file + 1), file, name.length > PATH_MAX ? PATH_MAX : (int)name.length, name.text);
	if (length >= (int)sizeof(path))
		refuse_include(parser->builder, name.line, "...", "the path is too long");
	else if (strchr(path, '*') != NULL)
		include_pattern(parser, path, name.line);
	else
		read_included(parser, path, name.line);
}

/* ---- files ---- */

/* All bytes of a file with two NULs behind them, or NULL and errno. */
static char *
read_bytes(int file, size_t size)
{
	char *bytes = memory_new(size + 2, 1);
	size_t have = 0;
	ssize_t got;

	while (have < size && (got = read(file, bytes + have, size - have)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			free(bytes);
			return NULL;
		}
		have += (size_t)got;
	}
	/* A file cut while it was read has NULs at its end, which are a mistake. */
	return bytes;
}

/* What forbids reading an opened file, or NULL. */
static const char *
judge_file(const struct parser *parser, const struct stat *status, size_t *depth_out)
{
	*depth_out = 0;
	if (!S_ISREG(status->st_mode))
		return "not a regular file";
	if (status->st_size > LARGEST_FILE)
		return "larger than 1 GB";
	for (const struct parser *outer = parser->outer; outer != NULL; outer = outer->outer) {
		(*depth_out)++;
		if (outer->device == status->st_dev && outer->inode == status->st_ino)
			return "the file includes itself";
	}
	return *depth_out > PARSER_DEEPEST_INCLUDE ? "files include files too deeply" : NULL;
}

/* Reads what stands in an opened file; path has been judged. */
static void
read_opened(struct parser *parser, const char *path, unsigned kinds, const struct stat *status, char *bytes)
{
	struct builder *builder = parser->builder;
	size_t size = (size_t)status->st_size;
	char *nul = memchr(bytes, '\0', size);
	size_t mark = size >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

	parser->device = status->st_dev;
	parser->inode = status->st_ino;
	parser->line = 1;
	builder_begin_file(builder, path, kinds, (status->st_mode & S_IROTH) != 0);
	if (nul != NULL)
		report_error(builder->report, builder_here(builder, 0), "-", "found a NUL octet after %td "
		    "octets; allowed: text", nul - bytes);
	else
		parser_read_text(parser, bytes + mark, size - mark);
	builder_end_file(builder);
}

/* Opens, judges and reads path. NULL, or what is wrong with the file itself. */
static const char *
read_path(struct parser *parser, const char *path, unsigned kinds, bool *missing_out)
{
	const char *problem = NULL;
	struct stat status;
	char *bytes = NULL;
	size_t depth;
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	*missing_out = file < 0 && errno == ENOENT;
	if (file < 0 || fstat(file, &status) < 0) {
		problem = strerror(errno);
	} else {
		problem = judge_file(parser, &status, &depth);
		if (problem == NULL && (bytes = read_bytes(file, (size_t)status.st_size)) == NULL)
			problem = strerror(errno);
	}
	if (file >= 0)
		close(file);
	if (problem != NULL)
		return problem;
	read_opened(parser, settings_memory_text(parser->builder->memory, path, strlen(path)), kinds, &status,
	    bytes);
	memory_wipe(bytes, (size_t)status.st_size);	/* there may be passwords in it */
	free(bytes);
	free(parser->items);
	return NULL;
}

static void
read_included(const struct parser *outer, const char *path, uint32_t line)
{
	struct builder *builder = outer->builder;
	struct parser parser = { .builder = builder, .outer = outer };
	const char *file = builder->file, *problem;
	unsigned kinds = builder->kinds;
	bool others_can_read = builder->others_can_read, missing;

	problem = read_path(&parser, path, kinds, &missing);
	builder_begin_file(builder, file, kinds, others_can_read);
	if (problem != NULL)
		refuse_include(builder, line, path, problem);
}

bool
parser_read_file(struct builder *builder, const char *path, unsigned kinds, enum parser_presence presence)
{
	struct parser parser = { .builder = builder };
	const char *problem;
	bool missing;

	problem = read_path(&parser, path, kinds, &missing);
	if (problem != NULL && (presence == PARSER_REQUIRED || !missing)) {
		const char *kept = settings_memory_text(builder->memory, path, strlen(path));

		report_error(builder->report, (struct position){ kept, 0 }, "-", "found no file to read (%s); "
		    "allowed: a file that can be read", problem);
	}
	return problem == NULL;
}

struct reading {
	struct builder *builder;
	unsigned kinds;
};

static void
read_match(void *context, const char *path)
{
	struct reading *reading = context;

	parser_read_file(reading->builder, path, reading->kinds, PARSER_REQUIRED);
}

void
parser_read_folder(struct builder *builder, const char *folder, unsigned kinds)
{
	struct reading reading = { builder, kinds };

	if (each_match(folder, "*.conf", read_match, &reading) < 0 && errno != ENOENT)
		report_error(builder->report, (struct position){ settings_memory_text(builder->memory, folder,
		    strlen(folder)), 0 }, "-", "found a folder that cannot be read (%s); allowed: a folder that "
		    "can be read", strerror(errno));
}
