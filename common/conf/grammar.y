/*
 * The syntax of etc/: key = value, documents and sections in braces, include. The braces are matched by the
 * builder; here a file is a flat sequence of statements, so that after a mistake the next statement is read as if
 * nothing had happened.
 */
%code requires {
#include "common/conf/parser.h"
}
%code {
#include "common/base/buffer.h"
#include "common/conf/report.h"

int conf_lex(CONF_STYPE *value, void *scanner);
static void conf_error(void *scanner, struct parser *parser, const char *text);
}
%define api.pure full
%define api.prefix {conf_}
%define api.value.type {struct parsed_text}
%define parse.error custom
%define parse.lac full
%param {void *scanner}
%parse-param {struct parser *parser}

%token WORD "a word"
%token STRING "a text in quotes"
%token INCLUDE "include"

%%

file
	: %empty
	| file statement
	;

statement
	: key value		{
		builder_set(parser->builder, $1, parser->items, parser->item_count, parser->is_list);
		parser->in_value = false;
	}
	| WORD STRING '{'	{ builder_open_document(parser->builder, $1, $2); }
	| WORD '{'		{ builder_open_section(parser->builder, $1); }
	| '}'			{ builder_close(parser->builder, $1.line); }
	| INCLUDE STRING	{ parser_include(parser, $2); }
	| error			{ parser->in_value = false; }
	;

key
	: WORD '='		{
		$$ = parser->key = $1;
		parser->in_value = true;
		parser->item_count = 0;
	}
	;

value
	: text			{ parser->is_list = false; }
	| list			{ parser->is_list = true; }
	;

text
	: WORD			{ parser_add_item(parser, $1); }
	| STRING		{ parser_add_item(parser, $1); }
	;

list
	: '{' '}'
	| '{' items '}'
	| '{' items ',' '}'
	| '{' error '}'
	;

items
	: text
	| items ',' text
	;

%%

static int
yyreport_syntax_error(const yypcontext_t *context, void *scanner, struct parser *parser)
{
	yysymbol_kind_t expected[8];
	int count = yypcontext_expected_tokens(context, expected, 8);
	struct buffer words = BUFFER_INITIALIZER(0);

	(void)scanner;
	for (int i = 0; i < count; i++)
		buffer_printf(&words, "%s%s", i == 0 ? "" : i + 1 < count ? ", " : " or ",
		    yysymbol_name(expected[i]));
	parser_refuse(parser, yypcontext_token(context) == YYSYMBOL_YYEOF, buffer_text(&words));
	buffer_free(&words);
	return 0;
}

/* Only for what is no mistake in the text: the parser's stack is full, which a flat grammar never does. */
static void
conf_error(void *scanner, struct parser *parser, const char *text)
{
	(void)scanner;
	report_error(parser->builder->report, builder_here(parser->builder, parser->line), "-", "%s", text);
}
