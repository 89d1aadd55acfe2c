/*
 * settings-manual - prints matador-documents(5) from the table of settings
 *
 * Run by the Makefile; what etc/ may hold and what the manual page tells cannot disagree.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/conf/table.h"
#include "common/conf/value.h"

static const char head[] =
    ".Dd $Mdocdate$\n"
    ".Dt MATADOR-DOCUMENTS 5\n"
    ".Os\n"
    ".Sh NAME\n"
    ".Nm matador-documents\n"
    ".Nd the documents and keys of Matador's configuration\n"
    ".Sh DESCRIPTION\n"
    "This page lists every key that the files of\n"
    ".Pa " SYSCONFDIR "/matador\n"
    "may hold.\n"
    "Syntax, files, and how Matador reads them are in\n"
    ".Xr matador.conf 5 .\n"
    ".Pp\n"
    "Names and meanings are those of the Domino Directory's documents; a variable of NOTES.INI is named in "
    "parentheses\n"
    "where a key takes its place.\n"
    "A key written\n"
    ".Va section.key\n"
    "stands in that section:\n"
    ".Li section { key = value } .\n"
    "Defaults are written as they would stand in a file.\n";

static const char tail[] =
    ".Sh SEE ALSO\n"
    ".Xr crypt 5 ,\n"
    ".Xr matador-controls 5 ,\n"
    ".Xr matador-log 5 ,\n"
    ".Xr matador.conf 5 ,\n"
    ".Xr matador 8\n";

/* Plain text for mdoc: nothing in it is a macro or an escape. */
static void
print_text(const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", stdout);
	for (; *text != '\0'; text++) {
		if (*text == '\\')
			fputs("\\e", stdout);
		else if (text[0] == '.' && text[1] == ' ')
			fputs(".\n", stdout), text++;
		else
			putchar(*text);
	}
	putchar('\n');
}

/* Quoted where the syntax wants it. */
static void
append_word(struct buffer *out, const char *word, size_t length)
{
	size_t plain = 0;

	while (plain < length && (isalnum((unsigned char)word[plain]) || strchr("._-/:@[]+%", word[plain]) != NULL))
		plain++;
	buffer_printf(out, plain == length && length > 0 ? "%.*s" : "\"%.*s\"", (int)length, word);
}

static void
append_list(struct buffer *out, const char *items)
{
	size_t length;

	buffer_append_string(out, "{");
	for (const char *item = items; *item != '\0'; item += length + strspn(item + length, ", ")) {
		length = strcspn(item, ",");
		buffer_append_string(out, item == items ? " " : ", ");
		append_word(out, item, length);
	}
	buffer_append_string(out, items[0] != '\0' ? " }" : "}");
}

static void
print_allowed(const struct setting_row *row)
{
	struct buffer text = BUFFER_INITIALIZER(0);

	buffer_append_string(&text, "Allowed: ");
	value_describe(row, &text);
	buffer_append_string(&text, ". Default: ");
	if (type_is_list(row->type))
		append_list(&text, row->default_text);
	else
		append_word(&text, row->default_text, strlen(row->default_text));
	buffer_append_string(&text, ".");
	print_text(text.data);
	buffer_free(&text);
}

int
main(void)
{
	fputs(head, stdout);
	for (size_t kind = 0; kind < KIND_COUNT; kind++) {
		const struct document_row *document = &document_rows[kind];

		if (kind == KIND_matador)
			fputs(".Sh KEYS OF MATADOR.CONF\n", stdout);
		else
			printf("%s.Ss %s\n", kind == KIND_matador + 1 ? ".Sh DOCUMENTS\n" : "", document->word);
		print_text(document->meaning);
		fputs(".Bl -tag -width Ds\n", stdout);
		for (size_t i = 0; i < document->setting_count; i++) {
			char label[128];

			printf(".It Va %s\n", setting_row_label(&document->settings[i], label));
			print_text(document->settings[i].help);
			if (!setting_row_has_effect((enum document_kind)kind, &document->settings[i]))
				fputs("Without effect in this version.\n", stdout);
			fputs(".br\n", stdout);
			print_allowed(&document->settings[i]);
		}
		fputs(".El\n", stdout);
	}
	fputs(tail, stdout);
	return 0;
}
