/*
 * protocol - how the messages of a pair of programs are declared, packed and unpacked
 *
 * Each protocol is one table, common/ipc/NAME.def. Both ends compile from it: common/ipc/NAME.h expands
 * it into one struct a message, a typed send function, and a table of handlers. Nothing else
 * knows the layout of a packet.
 *
 * The first byte of a message is its number in its table, the fields follow in the form of common/base/wire.h. A packet is one
 * message or several, one behind the other; one with a descriptor travels alone. The first message each way names the protocol
 * and its version.
 */
#ifndef COMMON_IPC_PROTOCOL_H
#define COMMON_IPC_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/wire.h"

#define IPC_PACKET_MAX 32768	/* octets in one packet: the default socket buffer holds few larger ones */
#define IPC_DATA_MAX 30000	/* octets of a DATA field in one packet, so that the other fields have room */

struct channel;

/* Which end of a pair sends a message: the one that asks, the one that serves, or both. */
enum ipc_side { IPC_ASKS = 1, IPC_SERVES = 2, IPC_BOTH = 3 };

/*
 * REQUEST takes one of the receiver's credits, its ANSWER gives it back; every request gets exactly one
 * answer. A PART belongs to a request in progress, either way. A NOTICE stands alone.
 */
enum ipc_kind { IPC_REQUEST, IPC_ANSWER, IPC_PART, IPC_NOTICE };

enum ipc_field_type { IPC_FIELD_U8, IPC_FIELD_U16, IPC_FIELD_U32, IPC_FIELD_U64, IPC_FIELD_STRING,
	IPC_FIELD_BYTES, IPC_FIELD_DESCRIPTOR };

struct ipc_field {
	enum ipc_field_type type;
	const char *name;
	size_t offset;		/* in the message's struct */
	size_t limit;		/* longest string or bytes */
};

struct ipc_message {
	const char *name;
	enum ipc_kind kind;
	enum ipc_side sender;
	const struct ipc_field *fields;
	size_t field_count;
	size_t struct_size;
	uint8_t number;		/* first byte of the message; 0 is the greeting */
	/* Calls the typed handler; false when there is none. */
	bool (*dispatch)(const void *handlers, void *context, struct channel *channel, const void *message);
};

struct ipc_protocol {
	const char *name;
	uint16_t version;
	unsigned window;	/* requests that may be unanswered at a time */
	const struct ipc_message *(*const *messages)(void);	/* in the order of their numbers, from 1 */
	size_t message_count;
};

/* The protocol of that name, or NULL. */
const struct ipc_protocol *ipc_protocol_by_name(const char *name);

#define IPC_STRUCT_MAX 512	/* no message struct is larger; checked at compile time */

/*
 * Appends message (the struct of type) to packet, its number first. False when a string or bytes field is over its limit
 * or the packet would be too large. *descriptor_out is the descriptor to send with it, or -1.
 */
bool ipc_pack(const struct ipc_message *type, const void *message, struct buffer *packet, int *descriptor_out);

/*
 * Fills message (room for type->struct_size) from packet, which stands behind the message's number and moves on to what follows
 * it. Strings and bytes are lent from the packet. descriptor is what came with it, or -1; it stays the caller's when the result is
 * false, as it is when anything is out of bounds or a descriptor came with a message that has none.
 */
bool ipc_unpack(const struct ipc_message *type, struct wire_reader *packet, int descriptor, void *message);

#endif
