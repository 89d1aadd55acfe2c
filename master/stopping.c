/*
 * stopping - the order in which the workers are drained and leave
 *
 * smtpd first, so that nothing new is accepted; then qmgr, which waits for the results of the deliveries in hand; then the
 * others, that have nothing left to do; logger last, so that every last word is logged. A phase that takes too long
 * is cut short: the end of the pair asks the process to leave, and a little later it is killed.
 */
#include <event2/event.h>

#include "common/ipc/worker.h"
#include "master/supervise.h"

#define PHASES 4
#define PHASE_AT_LEAST_MS 5000
#define LEAVING_MS 3000

static int
phase_of(enum role role)
{
	switch (role) {
	case ROLE_SMTPD:
		return 0;
	case ROLE_QMGR:
		return 1;
	case ROLE_LOGGER:
		return 3;
	default:
		return 2;
	}
}

static void
drain_process(struct process *process, int64_t remaining_ms)
{
	struct worker_drain drain = { .seconds = (uint32_t)((remaining_ms + 999) / 1000) };

	switch (process->state) {
	case PROCESS_WAITING:
		event_del(process->timer);
		process->state = PROCESS_ENDED;
		break;
	case PROCESS_STARTING:
		process_dismiss(process, LEAVING_MS);
		break;
	case PROCESS_READY:
		process->state = PROCESS_DRAINING;
		if (!send_worker_drain(process->channel, &drain))
			process_dismiss(process, LEAVING_MS);
		break;
	case PROCESS_DRAINING:
	case PROCESS_LEAVING:
	case PROCESS_ENDED:
		break;
	}
}

static void
enter_phase(struct supervisor *supervisor, int phase)
{
	int64_t remaining = deadline_remaining_ms(supervisor->stop_deadline);
	struct timeval wait;

	if (phase > 0 && remaining < PHASE_AT_LEAST_MS)
		remaining = PHASE_AT_LEAST_MS;
	supervisor->stop_phase = phase;
	wait = (struct timeval){ .tv_sec = remaining / 1000, .tv_usec = remaining % 1000 * 1000 };
	event_add(supervisor->stop_timer, &wait);
	for (size_t i = 0; i < supervisor->process_count; i++)
		if (phase_of(supervisor->processes[i].role) == phase)
			drain_process(&supervisor->processes[i], remaining);
}

static bool
phase_is_over(const struct supervisor *supervisor)
{
	for (size_t i = 0; i < supervisor->process_count; i++)
		if (phase_of(supervisor->processes[i].role) == supervisor->stop_phase &&
		    supervisor->processes[i].state != PROCESS_ENDED)
			return false;
	return true;
}

void
supervisor_stop_step(struct supervisor *supervisor)
{
	while (supervisor->stop_phase < PHASES && phase_is_over(supervisor)) {
		if (supervisor->stop_phase == PHASES - 1) {
			supervisor->stop_phase = PHASES;
			event_del(supervisor->stop_timer);
			supervisor->events->stopped(supervisor->context);
			return;
		}
		enter_phase(supervisor, supervisor->stop_phase + 1);
	}
}

/* The phase had its time: whoever is still there is asked to leave by the end of the pair. */
static void
phase_expired(int file UNUSED, short events UNUSED, void *context)
{
	struct supervisor *supervisor = context;

	for (size_t i = 0; i < supervisor->process_count; i++) {
		struct process *process = &supervisor->processes[i];

		if (phase_of(process->role) <= supervisor->stop_phase && process->state == PROCESS_DRAINING)
			process_dismiss(process, LEAVING_MS);
	}
}

void
supervisor_stop(struct supervisor *supervisor, unsigned seconds)
{
	if (supervisor->stop_phase < 0) {
		supervisor->stop_timer = evtimer_new(supervisor->base, phase_expired, supervisor);
		supervisor->stop_deadline = deadline_after_ms((int64_t)seconds * 1000);
		event_del(supervisor->watchdog);
		enter_phase(supervisor, 0);
	} else {
		supervisor->stop_deadline = deadline_after_ms(0);
		phase_expired(-1, 0, supervisor);
	}
	supervisor_stop_step(supervisor);
}
