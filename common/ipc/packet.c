/*
 * packet - messages to packets and back, by the description of their fields
 *
 * Trusts: nobody. Every length is checked against the field's limit and the packet's end.
 */
#include "common/ipc/protocol.h"

#include <string.h>

static bool
pack_field(const struct ipc_field *field, const void *value, struct buffer *packet, int *descriptor_out)
{
	struct bytes bytes;
	const char *string;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	switch (field->type) {
	case IPC_FIELD_U8:
		return wire_put_u8(packet, *(const uint8_t *)value);
	case IPC_FIELD_U16:
		memcpy(&u16, value, sizeof(u16));
		return wire_put_u16(packet, u16);
	case IPC_FIELD_U32:
		memcpy(&u32, value, sizeof(u32));
		return wire_put_u32(packet, u32);
	case IPC_FIELD_U64:
		memcpy(&u64, value, sizeof(u64));
		return wire_put_u64(packet, u64);
	case IPC_FIELD_STRING:
		memcpy(&string, value, sizeof(string));
		return (string == NULL || strlen(string) <= field->limit) && wire_put_string(packet, string);
	case IPC_FIELD_BYTES:
		memcpy(&bytes, value, sizeof(bytes));
		return bytes.length <= field->limit && wire_put_bytes(packet, bytes.data, bytes.length);
	case IPC_FIELD_DESCRIPTOR:
		memcpy(descriptor_out, value, sizeof(*descriptor_out));
		return true;
	}
	return false;
}

bool
ipc_pack(const struct ipc_message *type, const void *message, struct buffer *packet, int *descriptor_out)
{
	size_t start = packet->length, i;
	bool fits = wire_put_u8(packet, type->number);

	*descriptor_out = -1;
	for (i = 0; fits && i < type->field_count; i++)
		fits = pack_field(&type->fields[i], (const char *)message + type->fields[i].offset, packet,
		    descriptor_out);
	if (!fits || packet->length - start > IPC_PACKET_MAX) {
		packet->length = start;
		return false;
	}
	return true;
}

static void
unpack_field(const struct ipc_field *field, struct wire_reader *reader, int *descriptor, void *value)
{
	struct bytes bytes;
	const char *string;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	switch (field->type) {
	case IPC_FIELD_U8:
		*(uint8_t *)value = wire_get_u8(reader);
		break;
	case IPC_FIELD_U16:
		u16 = wire_get_u16(reader);
		memcpy(value, &u16, sizeof(u16));
		break;
	case IPC_FIELD_U32:
		u32 = wire_get_u32(reader);
		memcpy(value, &u32, sizeof(u32));
		break;
	case IPC_FIELD_U64:
		u64 = wire_get_u64(reader);
		memcpy(value, &u64, sizeof(u64));
		break;
	case IPC_FIELD_STRING:
		string = wire_get_string(reader, field->limit);
		memcpy(value, &string, sizeof(string));
		break;
	case IPC_FIELD_BYTES:
		bytes = wire_get_bytes(reader, field->limit);
		memcpy(value, &bytes, sizeof(bytes));
		break;
	case IPC_FIELD_DESCRIPTOR:
		memcpy(value, descriptor, sizeof(*descriptor));
		*descriptor = -1;
		break;
	}
}

bool
ipc_unpack(const struct ipc_message *type, struct wire_reader *packet, int descriptor, void *message)
{
	size_t i;

	memset(message, 0, type->struct_size);
	for (i = 0; i < type->field_count; i++)
		unpack_field(&type->fields[i], packet, &descriptor, (char *)message + type->fields[i].offset);
	return !packet->failed && descriptor < 0;
}
