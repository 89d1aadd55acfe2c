/* document - see document.h */
#include "directory/document.h"

#include "common/base/wire.h"

#define TEXT_MAX 1024

bool
document_encode(const struct document *document, struct buffer *out)
{
	bool fits = wire_put_u8(out, (uint8_t)document->kind) && wire_put_string(out, document->name) &&
	    wire_put_string(out, document->mail_server) && wire_put_string(out, document->mail_file) &&
	    wire_put_string(out, document->forwarding_address) &&
	    wire_put_string(out, document->internet_address) && wire_put_string(out, document->file) &&
	    wire_put_u32(out, document->line) && wire_put_u16(out, (uint16_t)document->name_count);

	for (size_t i = 0; i < document->name_count && fits; i++)
		fits = wire_put_string(out, document->names[i]);
	return fits;
}

int
document_decode(const void *data, size_t length, struct document *document, struct error *error)
{
	struct wire_reader reader;
	uint8_t kind;

	wire_reader_init(&reader, data, length);
	kind = wire_get_u8(&reader);
	document->name = wire_get_string(&reader, TEXT_MAX);
	document->mail_server = wire_get_string(&reader, TEXT_MAX);
	document->mail_file = wire_get_string(&reader, TEXT_MAX);
	document->forwarding_address = wire_get_string(&reader, TEXT_MAX);
	document->internet_address = wire_get_string(&reader, TEXT_MAX);
	document->file = wire_get_string(&reader, TEXT_MAX);
	document->line = wire_get_u32(&reader);
	document->name_count = wire_get_u16(&reader);
	if (kind > DIRECTORY_GROUP || document->name_count > DOCUMENT_NAMES_MAX)
		return error_set(error, ERROR_DAMAGED, "malformed document in the database");
	document->kind = (enum directory_entry_kind)kind;
	for (size_t i = 0; i < document->name_count; i++)
		document->names[i] = wire_get_string(&reader, TEXT_MAX);
	if (!wire_reader_finished(&reader))
		return error_set(error, ERROR_DAMAGED, "malformed document in the database");
	return 0;
}
