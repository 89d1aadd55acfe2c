/* test_packet - messages to packets and back */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/ipc/deposit.h"
#include "common/ipc/queue.h"
#include "common/ipc/worker.h"

/* Whether length octets are just one message of that type. */
static bool
unpack(const struct ipc_message *type, const void *data, size_t length, int descriptor, void *message)
{
	struct wire_reader packet;

	wire_reader_init(&packet, data, length);
	return ipc_unpack(type, &packet, descriptor, message) && wire_reader_finished(&packet);
}

static void
every_field_comes_back_and_the_number_stands_first(void **state)
{
	struct buffer packet = BUFFER_INITIALIZER(0);
	struct deposit_begin sent = { .id = 1, .envelope_length = 2, .content_length = 3, .body_length = 4,
		.data = { "five", 4 } }, got;
	const struct ipc_message *type = ipc_message_deposit_begin();
	int descriptor;

	(void)state;
	assert_true(ipc_pack(type, &sent, &packet, &descriptor));
	assert_int_equal(descriptor, -1);
	assert_int_equal(packet.data[0], type->number);
	assert_true(unpack(type, packet.data + 1, packet.length - 1, -1, &got));
	assert_int_equal(got.id, 1);
	assert_int_equal(got.envelope_length, 2);
	assert_int_equal(got.content_length, 3);
	assert_int_equal(got.body_length, 4);
	assert_int_equal(got.data.length, 4);
	assert_memory_equal(got.data.data, "five", 4);
	buffer_free(&packet);
}

static void
every_shorter_packet_is_refused(void **state)
{
	struct buffer packet = BUFFER_INITIALIZER(0);
	struct queue_list sent = { .sender = "a@b", .recipient = "c@d", .destination = "e", .state = "held" }, got;
	const struct ipc_message *type = ipc_message_queue_list();
	size_t length;
	int descriptor;

	(void)state;
	assert_true(ipc_pack(type, &sent, &packet, &descriptor));
	for (length = 0; length < packet.length - 1; length++)
		assert_false(unpack(type, packet.data + 1, length, -1, &got));
	buffer_append_byte(&packet, 'x');
	assert_false(unpack(type, packet.data + 1, packet.length - 1, -1, &got));
	buffer_free(&packet);
}

static void
what_is_over_a_limit_is_not_packed_and_leaves_nothing(void **state)
{
	static char address[1026];
	struct buffer packet = BUFFER_INITIALIZER(0);
	struct queue_list message = { .sender = address };
	int descriptor;

	(void)state;
	memset(address, 'a', sizeof(address) - 1);
	buffer_append_string(&packet, "before");
	assert_false(ipc_pack(ipc_message_queue_list(), &message, &packet, &descriptor));
	assert_int_equal(packet.length, 6);
	address[1024] = '\0';
	assert_true(ipc_pack(ipc_message_queue_list(), &message, &packet, &descriptor));
	buffer_free(&packet);
}

/* The body of a packet whose fields are all 0 or empty, but the first string, which has so many octets. */
static void
put_fields(const struct ipc_message *type, size_t length, struct buffer *packet)
{
	char text[2000];

	memset(text, 'a', length);
	text[length] = '\0';
	for (size_t i = 0; i < type->field_count; i++)
		switch (type->fields[i].type) {
		case IPC_FIELD_U8:
			wire_put_u8(packet, 0);
			break;
		case IPC_FIELD_U16:
			wire_put_u16(packet, 0);
			break;
		case IPC_FIELD_U32:
			wire_put_u32(packet, 0);
			break;
		case IPC_FIELD_U64:
			wire_put_u64(packet, 0);
			break;
		case IPC_FIELD_STRING:
			wire_put_string(packet, text);
			text[0] = '\0';
			break;
		case IPC_FIELD_BYTES:
			wire_put_bytes(packet, "", 0);
			break;
		case IPC_FIELD_DESCRIPTOR:
			break;
		}
}

static void
a_string_over_its_limit_is_not_unpacked(void **state)
{
	const struct ipc_message *type = ipc_message_queue_list();
	struct buffer packet = BUFFER_INITIALIZER(0);
	struct queue_list got;

	(void)state;
	put_fields(type, 1024, &packet);
	assert_true(unpack(type, packet.data, packet.length, -1, &got));
	buffer_clear(&packet);
	put_fields(type, 1025, &packet);
	assert_false(unpack(type, packet.data, packet.length, -1, &got));
	buffer_free(&packet);
}

static void
what_the_buffer_cannot_hold_is_not_packed(void **state)
{
	struct buffer packet = BUFFER_INITIALIZER(20);
	int descriptor;

	(void)state;
	assert_false(ipc_pack(ipc_message_queue_list(), &(struct queue_list){ .sender = "a" }, &packet, &descriptor));
	assert_int_equal(packet.length, 0);
	buffer_free(&packet);
}

static void
a_descriptor_travels_beside_the_packet(void **state)
{
	struct buffer packet = BUFFER_INITIALIZER(0);
	struct worker_settings got;
	const struct ipc_message *type = ipc_message_worker_settings();
	int descriptor;

	(void)state;
	assert_true(ipc_pack(type, &(struct worker_settings){ .file = 7 }, &packet, &descriptor));
	assert_int_equal(descriptor, 7);
	assert_int_equal(packet.length, 1);
	assert_true(unpack(type, packet.data + 1, 0, 9, &got));
	assert_int_equal(got.file, 9);
	assert_true(unpack(type, packet.data + 1, 0, -1, &got));
	assert_int_equal(got.file, -1);
	assert_false(unpack(ipc_message_worker_begin(), packet.data + 1, 0, 9, &got));
	buffer_free(&packet);
}

static void
protocols_are_found_by_name(void **state)
{
	(void)state;
	assert_ptr_equal(ipc_protocol_by_name("deposit"), &deposit_protocol);
	assert_ptr_equal(ipc_protocol_by_name("queue"), &queue_protocol);
	assert_null(ipc_protocol_by_name("depositor"));
	assert_null(ipc_protocol_by_name(""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_comes_back_and_the_number_stands_first),
		cmocka_unit_test(every_shorter_packet_is_refused),
		cmocka_unit_test(what_is_over_a_limit_is_not_packed_and_leaves_nothing),
		cmocka_unit_test(a_string_over_its_limit_is_not_unpacked),
		cmocka_unit_test(what_the_buffer_cannot_hold_is_not_packed),
		cmocka_unit_test(a_descriptor_travels_beside_the_packet),
		cmocka_unit_test(protocols_are_found_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
