/*
 * define - expands the protocol table IPC_TABLE into the descriptions that pack, unpack and dispatch
 *
 * Included by common/ipc/protocols.c only, once for every protocol; no include guard. A message's
 * description lives inside a function of its own, so that a field's row need not repeat its struct.
 */

#define PROTOCOL(name, version, window)
#define U8(field)
#define U16(field)
#define U32(field)
#define U64(field)
#define STRING(field, limit)
#define BYTES(field, limit)
#define DESCRIPTOR(field)
#define END(name)

/* Numbers: 1, 2, ... in the order of the table; 0 is the greeting. */
enum {
	IPC_PASTE(IPC_PROTOCOL, _greeting_number),
#define MESSAGE(name, kind, sender) name##_number,
#include IPC_TABLE
#undef MESSAGE
	IPC_PASTE(IPC_PROTOCOL, _count),
};

#define MESSAGE(name, kind, sender) \
	static bool dispatch_##name(const void *handlers, void *context, struct channel *channel, \
	    const void *message) \
	{ \
		const struct IPC_PASTE(IPC_PROTOCOL, _handlers) *typed = handlers; \
		if (typed == NULL || typed->name == NULL) \
			return false; \
		typed->name(context, channel, message); \
		return true; \
	}
#include IPC_TABLE
#undef MESSAGE
#undef U8
#undef U16
#undef U32
#undef U64
#undef STRING
#undef BYTES
#undef DESCRIPTOR
#undef END

/* The last row of fields is a sentinel that is not counted: a message may have no fields. */
#define MESSAGE(message_name, message_kind, message_sender) \
	const struct ipc_message *ipc_message_##message_name(void) \
	{ \
		typedef struct message_name current; \
		enum { kind = message_kind, sender = message_sender }; \
		static const struct ipc_field fields[] = {
#define U8(field) { IPC_FIELD_U8, #field, offsetof(current, field), 0 },
#define U16(field) { IPC_FIELD_U16, #field, offsetof(current, field), 0 },
#define U32(field) { IPC_FIELD_U32, #field, offsetof(current, field), 0 },
#define U64(field) { IPC_FIELD_U64, #field, offsetof(current, field), 0 },
#define STRING(field, limit) { IPC_FIELD_STRING, #field, offsetof(current, field), limit },
#define BYTES(field, limit) { IPC_FIELD_BYTES, #field, offsetof(current, field), limit },
#define DESCRIPTOR(field) { IPC_FIELD_DESCRIPTOR, #field, offsetof(current, field), 0 },
#define END(message_name) \
			{ IPC_FIELD_U8, "", 0, 0 }, \
		}; \
		static const struct ipc_message message = { #message_name, (enum ipc_kind)kind, \
			(enum ipc_side)sender, fields, \
			sizeof(fields) / sizeof(fields[0]) - 1, sizeof(current), message_name##_number, \
			dispatch_##message_name }; \
		return &message; \
	}
#include IPC_TABLE
#undef MESSAGE
#undef U8
#undef U16
#undef U32
#undef U64
#undef STRING
#undef BYTES
#undef DESCRIPTOR
#undef END
#undef PROTOCOL

#define U8(field)
#define U16(field)
#define U32(field)
#define U64(field)
#define STRING(field, limit)
#define BYTES(field, limit)
#define DESCRIPTOR(field)
#define END(name)
#define PROTOCOL(name, version, window)
static const struct ipc_message *(*const IPC_PASTE(IPC_PROTOCOL, _messages)[])(void) = {
#define MESSAGE(name, kind, sender) ipc_message_##name,
#include IPC_TABLE
#undef MESSAGE
};
#undef PROTOCOL

#define MESSAGE(name, kind, sender)
#define PROTOCOL(name, version, window) \
	const struct ipc_protocol name##_protocol = { #name, version, window, name##_messages, name##_count - 1 };
#include IPC_TABLE
#undef MESSAGE
#undef PROTOCOL
#undef U8
#undef U16
#undef U32
#undef U64
#undef STRING
#undef BYTES
#undef DESCRIPTOR
#undef END
#undef IPC_TABLE
#undef IPC_PROTOCOL
