/* templates - see templates.h */
#include "common/conf/templates.h"

#include "common/conf/value.h"

void *
template_new(enum document_kind kind, struct settings_memory *memory, struct buffer *problems)
{
	const struct document_row *document = &document_rows[kind];
	struct document_start *made = settings_memory_take(memory, 1, document->size);

	made->title = "";
	made->at.file = "";
	for (size_t i = 0; i < document->setting_count; i++) {
		const struct setting_row *row = &document->settings[i];
		size_t before = problems->length;

		if (!value_parse_default(row, memory, document_setting(made, row), problems) &&
		    problems->length > before)
			buffer_printf(problems, " (default of %s %s)\n", document->word, row->name);
	}
	return made;
}
