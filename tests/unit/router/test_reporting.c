/* test_reporting - report requests cut into packets anywhere, and streams that do not add up */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <sys/socket.h>

#include "common/base/memory.h"
#include "common/mail/envelope.h"
#include "router/reporting.h"
#include "tests/unit/router/world.h"

static const char header[] = "Subject: Hello\r\nMessage-ID: <1@acme.com>\r\n\r\n";

struct fixture {
	struct world world;
	struct event_base *base;
	struct rules *rules;
	struct reportings *reportings;
	struct channel *qmgr;
	struct channel *router;
	struct buffer request;		/* envelope and header */
	size_t envelope_length;
	bool broken;			/* reportings found a violation */
	struct buffer report;		/* what came back */
	struct report_answer answer;
	unsigned answers;
};

static void
take_begin(void *context, struct channel *channel, const struct report_begin *message)
{
	struct fixture *fixture = context;

	fixture->broken = fixture->broken || !reportings_begin(fixture->reportings, channel, fixture->rules,
	    message);
}

static void
take_more(void *context, struct channel *channel UNUSED, const struct report_more *message)
{
	struct fixture *fixture = context;

	fixture->broken = fixture->broken || !reportings_more(fixture->reportings, message);
}

static void
take_data(void *context, struct channel *channel UNUSED, const struct report_data *message)
{
	buffer_append(&((struct fixture *)context)->report, message->data.data, message->data.length);
}

static void
take_answer(void *context, struct channel *channel UNUSED, const struct report_answer *message)
{
	struct fixture *fixture = context;

	fixture->answer = *message;
	fixture->answers++;
}

static void
router_ready(void *context, struct channel *channel UNUSED)
{
	reportings_ready(((struct fixture *)context)->reportings);
}

static int
begin(void **state)
{
	static const struct route_handlers qmgr = { .report_data = take_data, .report_answer = take_answer };
	static const struct route_handlers router = { .report_begin = take_begin, .report_more = take_more };
	static const struct channel_events none, events = { .ready = router_ready };
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	int pair[2];

	world_begin(&fixture->world);
	fixture->base = event_base_new();
	fixture->rules = rules_new(&fixture->world.settings);
	fixture->reportings = reportings_new();
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	fixture->qmgr = channel_open(fixture->base, pair[0], &route_protocol, IPC_ASKS, &qmgr, &none, fixture);
	fixture->router = channel_open(fixture->base, pair[1], &route_protocol, IPC_SERVES, &router, &events,
	    fixture);
	*state = fixture;
	return 0;
}

static int
end(void **state)
{
	struct fixture *fixture = *state;

	reportings_free(&fixture->reportings);
	channel_free(&fixture->qmgr);
	channel_free(&fixture->router);
	rules_release(&fixture->rules);
	event_base_free(fixture->base);
	buffer_free(&fixture->request);
	buffer_free(&fixture->report);
	world_end(&fixture->world);
	free(fixture);
	return 0;
}

static void
prepare(struct fixture *fixture, const char *sender, unsigned recipients)
{
	struct envelope envelope;

	envelope_init(&envelope);
	envelope.sender = memory_copy_string(sender);
	for (unsigned i = 0; i < recipients; i++) {
		struct envelope_recipient *recipient = envelope_add_recipient(&envelope, "bob@partner.example");

		recipient->failure = FAILURE_USERNAME;
		recipient->reason = memory_copy_string("550 no");
	}
	buffer_clear(&fixture->request);
	assert_true(envelope_encode(&envelope, NULL, &fixture->request));
	fixture->envelope_length = fixture->request.length;
	assert_true(buffer_append_string(&fixture->request, header));
	envelope_free(&envelope);
}

/* Sends the request in packets of at most size octets. */
static void
send_request(struct fixture *fixture, uint64_t job, size_t size)
{
	size_t length = fixture->request.length, at = size < length ? size : length;
	const struct report_begin first = { .job = job, .kind = REPORT_FAILURE,
		.envelope_length = (uint32_t)fixture->envelope_length,
		    .content_length = length - fixture->envelope_length,
		.data = { fixture->request.data, at } };

	assert_true(send_report_begin(fixture->qmgr, &first));
	for (; at < length; at += size) {
		const struct report_more more = { job, { fixture->request.data + at, length - at < size ?
		    length - at : size } };

		assert_true(send_report_more(fixture->qmgr, &more));
	}
}

static void
wait_for_answers(struct fixture *fixture, unsigned answers)
{
	for (int turns = 0; fixture->answers < answers && !fixture->broken; turns++) {
		assert_true(turns < 100000);
		event_base_loop(fixture->base, EVLOOP_ONCE);
	}
}

static void
a_request_may_be_cut_anywhere(void **state)
{
	static const size_t sizes[] = { 1, 2, 7, 100, 163, 20000 };
	struct fixture *fixture = *state;

	prepare(fixture, "jane@acme.com", 2);
	for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
		struct envelope report;

		buffer_clear(&fixture->report);
		send_request(fixture, 40 + i, sizes[i]);
		wait_for_answers(fixture, (unsigned)i + 1);
		assert_false(fixture->broken);
		assert_int_equal(fixture->answer.job, 40 + i);
		assert_int_equal(fixture->answer.wanted, 1);
		assert_int_equal(fixture->answer.envelope_length + fixture->answer.content_length,
		    fixture->report.length);
		assert_int_equal(envelope_decode(fixture->report.data, fixture->answer.envelope_length, &report,
		    NULL), 0);
		assert_true(report.is_report);
		assert_string_equal(report.recipients[0].address, "jane@acme.com");
		assert_non_null(strstr(fixture->report.data + fixture->answer.envelope_length,
		    "  Subject: Hello\r\n"));
		envelope_free(&report);
	}
	assert_int_equal(reportings_count(fixture->reportings), 0);
}

static void
a_large_report_leaves_as_fast_as_it_is_read(void **state)
{
	struct fixture *fixture = *state;

	prepare(fixture, "jane@acme.com", 20000);
	send_request(fixture, 1, IPC_DATA_MAX);
	wait_for_answers(fixture, 1);
	assert_int_equal(fixture->answer.envelope_length + fixture->answer.content_length, fixture->report.length);
}

static void
nothing_is_due_for_the_null_sender(void **state)
{
	struct fixture *fixture = *state;

	prepare(fixture, "", 1);
	send_request(fixture, 1, 100);
	wait_for_answers(fixture, 1);
	assert_int_equal(fixture->answer.wanted, 0);
	assert_int_equal(fixture->answer.envelope_length, 0);
	assert_int_equal(fixture->answer.content_length, 0);
	assert_int_equal(fixture->report.length, 0);
}

static void
an_envelope_that_cannot_be_read_gets_no_report(void **state)
{
	struct fixture *fixture = *state;

	prepare(fixture, "jane@acme.com", 1);
	fixture->request.data[0] ^= 0x55;
	send_request(fixture, 1, 100);
	wait_for_answers(fixture, 1);
	assert_int_equal(fixture->answer.wanted, 0);
}

static void
more_than_was_announced_is_a_violation(void **state)
{
	struct fixture *fixture = *state;
	const struct report_more surplus = { 1, { "x", 1 } };

	prepare(fixture, "jane@acme.com", 1);
	fixture->request.length--;
	send_request(fixture, 1, 1000);
	wait_for_answers(fixture, 1);
	assert_true(send_report_more(fixture->qmgr, &surplus));
	wait_for_answers(fixture, 2);
	assert_true(fixture->broken);
}

static void
one_job_is_begun_once(void **state)
{
	struct fixture *fixture = *state;
	const struct report_begin first = { .job = 1, .envelope_length = 100, .content_length = 1 };

	assert_true(send_report_begin(fixture->qmgr, &first));
	assert_true(send_report_begin(fixture->qmgr, &first));
	wait_for_answers(fixture, 1);
	assert_true(fixture->broken);
}

static void
a_request_without_an_envelope_is_a_violation(void **state)
{
	struct fixture *fixture = *state;
	const struct report_begin first = { .job = 1, .content_length = 1 };

	assert_true(send_report_begin(fixture->qmgr, &first));
	wait_for_answers(fixture, 1);
	assert_true(fixture->broken);
}

static void
a_dead_qmgr_leaves_nothing_behind(void **state)
{
	struct fixture *fixture = *state;

	prepare(fixture, "jane@acme.com", 1);
	send_request(fixture, 1, 50);
	for (int i = 0; i < 2; i++)
		event_base_loop(fixture->base, EVLOOP_NONBLOCK);
	reportings_forget(fixture->reportings);
	assert_int_equal(reportings_count(fixture->reportings), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_request_may_be_cut_anywhere, begin, end),
		cmocka_unit_test_setup_teardown(a_large_report_leaves_as_fast_as_it_is_read, begin, end),
		cmocka_unit_test_setup_teardown(nothing_is_due_for_the_null_sender, begin, end),
		cmocka_unit_test_setup_teardown(an_envelope_that_cannot_be_read_gets_no_report, begin, end),
		cmocka_unit_test_setup_teardown(more_than_was_announced_is_a_violation, begin, end),
		cmocka_unit_test_setup_teardown(one_job_is_begun_once, begin, end),
		cmocka_unit_test_setup_teardown(a_request_without_an_envelope_is_a_violation, begin, end),
		cmocka_unit_test_setup_teardown(a_dead_qmgr_leaves_nothing_behind, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
