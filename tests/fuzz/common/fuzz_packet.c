/*
 * fuzz_packet - any octets as any message of any protocol
 *
 * The first octet chooses the protocol, the rest is a packet. The message that unpacks must pack to the same octets again: so
 * nothing was read beyond the packet, nothing overlooked in it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/ipc/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
unpack_and_pack_again(const struct ipc_message *type, const uint8_t *packet, size_t length)
{
	static const int descriptors[] = { -1, 5 };
	union {
		max_align_t align;
		char room[IPC_STRUCT_MAX];
	} message;
	size_t i, used;

	for (i = 0; i < 2; i++) {
		struct buffer again = BUFFER_INITIALIZER(IPC_PACKET_MAX);
		struct wire_reader reader;
		int descriptor;

		wire_reader_init(&reader, packet + 1, length - 1);
		if (!ipc_unpack(type, &reader, descriptors[i], &message))
			continue;
		used = (size_t)(reader.next - packet);
		if (!ipc_pack(type, &message, &again, &descriptor) || again.length != used ||
		    memcmp(again.data, packet, used) != 0 || descriptor != descriptors[i])
			abort();
		buffer_free(&again);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "worker", "log", "deposit", "route", "deliver", "dns", "directory",
		"policy", "queue", "control", "inspection" };
	const struct ipc_protocol *protocol;
	uint8_t *packet;

	if (size < 2 || size - 1 > IPC_PACKET_MAX)
		return 0;
	protocol = ipc_protocol_by_name(names[data[0] % (sizeof(names) / sizeof(names[0]))]);
	if (data[1] < 1 || data[1] > protocol->message_count)
		return 0;
	/* Memory of its own, so that one octet too far is noticed. */
	packet = malloc(size - 1);
	memcpy(packet, data + 1, size - 1);
	unpack_and_pack_again(protocol->messages[packet[0] - 1](), packet, size - 1);
	free(packet);
	return 0;
}
