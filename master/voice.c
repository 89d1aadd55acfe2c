/* voice - see voice.h */
#include "master/voice.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/attributes.h"
#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/log/log.h"

#define LINES_A_MINUTE 20

struct voice {
	struct event *event;
	int file;
	const char *program;	/* borrowed */
	pid_t process;
	char line[500];
	size_t length;
	unsigned lines;		/* in the current minute */
	deadline_t minute_ends;
};

static void
say_line(struct voice *voice)
{
	voice->line[voice->length] = '\0';
	if (deadline_passed(voice->minute_ends)) {
		voice->minute_ends = deadline_after_ms(60000);
		voice->lines = 0;
	}
	if (voice->length > 0 && voice->lines++ < LINES_A_MINUTE)
		log_event(LOG_WORKER_SAID, voice->program, log_number(voice->process), voice->line);
	voice->length = 0;
}

/* Returns false at the end of the pipe. */
static bool
hear(struct voice *voice)
{
	char heard[4096];
	ssize_t got = read(voice->file, heard, sizeof(heard));

	for (ssize_t i = 0; i < got; i++) {
		if (heard[i] != '\n')
			voice->line[voice->length++] = heard[i];
		if (heard[i] == '\n' || voice->length == sizeof(voice->line) - 1)
			say_line(voice);
	}
	return got != 0;
}

static void
voice_ready(int file UNUSED, short events UNUSED, void *context)
{
	struct voice *voice = context;

	if (!hear(voice))
		event_del(voice->event);
}

struct voice *
voice_open(struct event_base *base, const char *program, int *write_end_out)
{
	struct voice *voice;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) == -1)
		return NULL;
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	voice = memory_new(1, sizeof(*voice));
	voice->file = ends[0];
	voice->program = program;
	voice->event = event_new(base, voice->file, EV_READ | EV_PERSIST, voice_ready, voice);
	event_add(voice->event, NULL);
	*write_end_out = ends[1];
	return voice;
}

void
voice_set_process(struct voice *voice, pid_t process)
{
	voice->process = process;
}

void
voice_close(struct voice **voice)
{
	if (*voice == NULL)
		return;
	hear(*voice);
	say_line(*voice);
	event_free((*voice)->event);
	close((*voice)->file);
	free(*voice);
	*voice = NULL;
}
