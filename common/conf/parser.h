/*
 * parser - reads one file of etc/ with the scanner and grammar, and the files that it includes
 */
#ifndef COMMON_CONF_PARSER_H
#define COMMON_CONF_PARSER_H

#include "common/conf/builder.h"

#define PARSER_DEEPEST_INCLUDE 8

struct parser {
	struct builder *builder;
	const struct parser *outer;	/* the file that includes this one */
	uint64_t device, inode;		/* which file this is */
	uint32_t line;
	/* what a mistake is about: the key whose value is read, otherwise the last word, or the one before the
	 * current token */
	struct parsed_text key, word, before;
	bool in_value;
	struct parsed_text current;
	struct parsed_text *items;	/* of the list that is being read; owned */
	size_t item_count, item_capacity;
	bool is_list;
};

/* Whether a file that cannot be opened is a mistake. */
enum parser_presence { PARSER_REQUIRED, PARSER_OPTIONAL };

/*
 * Reads path into builder, which may hold the given kinds (KIND_BITs). Mistakes go to the builder's report. False
 * when an optional file is not there.
 */
bool parser_read_file(struct builder *builder, const char *path, unsigned kinds, enum parser_presence presence);

/* Reads every *.conf of a folder, in the order of their names. The folder need not exist. */
void parser_read_folder(struct builder *builder, const char *folder, unsigned kinds);

/* Reads the bytes of a file in place: two NULs stand behind text's length. */
void parser_read_text(struct parser *parser, char *text, size_t length);

/* For the grammar. */
void parser_include(struct parser *parser, struct parsed_text path);
void parser_add_item(struct parser *parser, struct parsed_text item);
/* The current token is not what the grammar expects there. */
void parser_refuse(struct parser *parser, bool at_end, const char *expected);

/* For the scanner. */
void parser_token(struct parser *parser, struct parsed_text token, bool is_word);
/* What stands between the quotes; text is rewritten without backslashes. */
struct parsed_text parser_string(struct parser *parser, char *text, size_t length);
struct parsed_text parser_bad_string(struct parser *parser);
struct parsed_text parser_bad_word(struct parser *parser, const char *text, size_t length);

#endif
