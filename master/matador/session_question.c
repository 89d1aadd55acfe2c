/* session_question - see session_question.h */
#include "master/matador/session_question.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/attributes.h"
#include "common/base/memory.h"
#include "common/ipc/channel.h"

/* Longer than the listener waits for everybody together. */
#define PATIENCE_SECONDS 1200
#define STEPS_MAX 1000

struct asking {
	struct told_session *told;
	struct event_base *base;
	struct channel *channel;	/* NULL once closed */
	char closed_reason[200];
	char *malformed;		/* owned: what is wrong with the question */
	bool answered;
	bool is_understood;		/* the answer is one of those that we know */
};

static void
take_step(void *context, struct channel *channel UNUSED, const struct inspection_step *step)
{
	struct told_session *told = ((struct asking *)context)->told;

	if (told->step_count == STEPS_MAX || step->stage > INSPECTION_AT_RCPT || step->verdict > INSPECTION_NOT_REACHED)
		return;
	told->steps = memory_resize(told->steps, told->step_count + 1, sizeof(*told->steps));
	told->steps[told->step_count++] = (struct session_step){ .stage = (enum inspection_stage)step->stage,
		.verdict = (enum inspection_verdict)step->verdict, .control = memory_copy_string(step->control),
		.rule = memory_copy_string(step->rule), .entry = memory_copy_string(step->entry),
		.file = memory_copy_string(step->file), .line = step->line, .found = memory_copy_string(step->found),
		.reply = memory_copy_string(step->reply) };
}

static void
take_answer(void *context, struct channel *channel UNUSED, const struct inspection_answer *answer)
{
	struct asking *asking = context;

	if (asking->answered)
		return;
	asking->answered = true;
	asking->is_understood = answer->outcome <= INSPECTION_MALFORMED && answer->stage <= INSPECTION_AT_RCPT;
	if (asking->is_understood) {
		asking->told->outcome = (enum inspection_outcome)answer->outcome;
		asking->told->stage = (enum inspection_stage)answer->stage;
	}
	asking->told->reply = memory_copy_string(answer->reply);
	asking->malformed = memory_copy_string(answer->text);
	event_base_loopbreak(asking->base);
}

static void
closed(void *context, struct channel *channel UNUSED, const char *reason)
{
	struct asking *asking = context;

	snprintf(asking->closed_reason, sizeof(asking->closed_reason), "%s", reason);
	channel_free(&asking->channel);
	event_base_loopbreak(asking->base);
}

static int
judge_conversation(const struct asking *asking, struct error *error)
{
	if (!asking->answered)
		return error_set(error, ERROR_UNAVAILABLE, "smtpd %s%s", asking->channel == NULL ?
		    "ended the conversation: " : "does not answer", asking->closed_reason);
	if (!asking->is_understood)
		return error_set(error, ERROR_UNAVAILABLE, "smtpd gives an answer that is none");
	if (asking->told->outcome == INSPECTION_MALFORMED)
		return error_set(error, ERROR_INVALID, "%s", asking->malformed);
	return 0;
}

int
session_question_ask(const struct inspection_question *question, int socket, struct told_session *told_out,
    struct error *error)
{
	static const struct inspection_handlers handlers = { .inspection_step = take_step,
		.inspection_answer = take_answer };
	static const struct channel_events events = { .closed = closed };
	static const struct timeval patience = { .tv_sec = PATIENCE_SECONDS };
	struct asking asking = { .told = told_out, .base = event_base_new() };
	int result;

	*told_out = (struct told_session){ 0 };
	asking.channel = channel_open(asking.base, socket, &inspection_protocol, IPC_ASKS, &handlers, &events, &asking);
	event_base_loopexit(asking.base, &patience);
	if (send_inspection_question(asking.channel, question))
		event_base_dispatch(asking.base);
	result = judge_conversation(&asking, error);
	channel_free(&asking.channel);
	event_base_free(asking.base);
	free(asking.malformed);
	return result;
}

void
told_session_free(struct told_session *told)
{
	for (size_t i = 0; i < told->step_count; i++) {
		free(told->steps[i].control);
		free(told->steps[i].rule);
		free(told->steps[i].entry);
		free(told->steps[i].file);
		free(told->steps[i].found);
		free(told->steps[i].reply);
	}
	free(told->steps);
	free(told->reply);
	*told = (struct told_session){ 0 };
}
