/*
 * declare - expands the protocol table IPC_TABLE into structs, send functions and the handler table
 *
 * Included by common/ipc/NAME.h only, with IPC_TABLE naming the .def file and IPC_PROTOCOL the protocol.
 * No include guard: it is expanded once for every protocol.
 */
#include "common/ipc/channel.h"
#include "common/ipc/protocol.h"

#define IPC_PASTE_(a, b) a##b
#define IPC_PASTE(a, b) IPC_PASTE_(a, b)

/* struct NAME: the fields of each message */
#define PROTOCOL(name, version, window)
#define MESSAGE(name, kind, sender) struct name {
#define U8(field) uint8_t field;
#define U16(field) uint16_t field;
#define U32(field) uint32_t field;
#define U64(field) uint64_t field;
#define STRING(field, limit) const char *field;
#define BYTES(field, limit) struct bytes field;
#define DESCRIPTOR(field) int field;
#define END(name) }; _Static_assert(sizeof(struct name) <= IPC_STRUCT_MAX, #name " is too large");
#include IPC_TABLE
#undef PROTOCOL
#undef MESSAGE
#undef U8
#undef U16
#undef U32
#undef U64
#undef STRING
#undef BYTES
#undef DESCRIPTOR
#undef END
#define U8(field)
#define U16(field)
#define U32(field)
#define U64(field)
#define STRING(field, limit)
#define BYTES(field, limit)
#define DESCRIPTOR(field)
#define END(name)

/* struct PROTOCOL_handlers: what to call for each message that arrives; NULL: the message is a violation */
struct IPC_PASTE(IPC_PROTOCOL, _handlers) {
#define PROTOCOL(name, version, window)
#define MESSAGE(name, kind, sender) \
	void (*name)(void *context, struct channel *channel, const struct name *message);
#include IPC_TABLE
#undef MESSAGE
	int no_handler;		/* keeps the struct from being empty */
};

/* send_NAME(): queues one message. False, and nothing is queued, when the channel has no credit for a
 * request, is closed, or the message does not fit. */
#define MESSAGE(name, kind, sender) \
	const struct ipc_message *ipc_message_##name(void); \
	static inline bool send_##name(struct channel *channel, const struct name *message) \
	{ \
		return channel_send(channel, ipc_message_##name(), message); \
	}
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
extern const struct ipc_protocol IPC_PASTE(IPC_PROTOCOL, _protocol);
#undef IPC_TABLE
#undef IPC_PROTOCOL
