/* outcome - see outcome.h */
#include "qmgr/outcome.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/log/log.h"
#include "qmgr/qmgr.h"
#include "qmgr/retry.h"

static void
replace(char **text, const char *with)
{
	char *copy = with == NULL || with[0] == '\0' ? NULL : memory_copy_string(with);

	free(*text);
	*text = copy;
}

static void
remember(struct envelope_recipient *recipient, const char *status, const char *reason, const char *host)
{
	replace(&recipient->status, status);
	replace(&recipient->reason, reason);
	replace(&recipient->remote_host, host);
}

static void
changed(struct active_message *message, uint32_t index, struct outcome_changes *changes)
{
	if (changes->chosen == NULL)
		changes->chosen = memory_new(message->envelope.recipient_count, sizeof(*changes->chosen));
	changes->chosen[index] = true;
}

/* ---- final outcomes ---- */

static bool
success_is_wanted(const struct active_message *message, const struct envelope_recipient *recipient, bool relayed)
{
	return (recipient->notify & NOTIFY_SUCCESS) != 0 && !relayed && !message->envelope.is_report &&
	    message->envelope.sender[0] != '\0';
}

static void
delivered(struct qmgr *qmgr, struct active_message *message, uint32_t index, const struct delivery_result *result,
    struct outcome_changes *changes)
{
	struct envelope_recipient *recipient = &message->envelope.recipients[index];
	bool relayed = recipient->transport != TRANSPORT_LOCAL && result->dsn_relayed;

	recipient->state = RECIPIENT_DELIVERED;
	recipient->failure = FAILURE_NONE;
	recipient->attempts++;
	remember(recipient, result->status, result->text, result->host);
	message->open--;
	active_set_phase(message, index, success_is_wanted(message, recipient, relayed) ? PHASE_SUCCESS : PHASE_IDLE);
	changed(message, index, changes);
	qmgr->counters.delivered++;
	log_event(LOG_RECIPIENT_DELIVERED, log_id(message->envelope.id), recipient->address,
	    transport_name(recipient->transport), recipient->next_hop, result->host, result->text,
	    log_seconds(active_age_ms(message, qmgr_now(qmgr))));
}

void
outcome_fail(struct qmgr *qmgr, struct active_message *message, uint32_t index, enum failure_class failure,
    const char *status, const char *reason, const char *host)
{
	struct envelope_recipient *recipient = &message->envelope.recipients[index];

	recipient->state = RECIPIENT_FAILED;
	recipient->failure = failure;
	remember(recipient, status, reason, host);
	active_set_phase(message, index, PHASE_FAILING);
	qmgr->counters.failed++;
	log_event(LOG_RECIPIENT_FAILED, log_id(message->envelope.id), recipient->address,
	    transport_name(recipient->transport), recipient->next_hop, recipient->status, recipient->reason);
}

void
outcome_duplicate(struct qmgr *qmgr, struct active_message *message, uint32_t index, struct outcome_changes *changes)
{
	struct envelope_recipient *recipient = &message->envelope.recipients[index];

	recipient->state = RECIPIENT_EXPANDED;
	message->open--;
	changed(message, index, changes);
	log_event(LOG_RECIPIENT_DUPLICATE, log_id(message->envelope.id), recipient->address,
	    transport_name(recipient->transport), recipient->next_hop);
	qmgr->counters.duplicates++;
}

static void
expire(struct qmgr *qmgr, struct active_message *message, uint32_t index, const char *reason, const char *host)
{
	char text[ENVELOPE_TEXT_MAX];
	int64_t minutes = active_age_ms(message, qmgr_now(qmgr)) / 60000;

	snprintf(text, sizeof(text), "Message could not be delivered for %lld hours and %lld minutes and expired. Last: %s",
	    (long long)(minutes / 60), (long long)(minutes % 60), reason == NULL ? "no attempt was possible" : reason);
	outcome_fail(qmgr, message, index, FAILURE_EXPIRATION, "4.4.7", text, host);
}

/* ---- waiting ---- */

/* The latest moment for the next attempt. */
static int64_t
bounded(struct qmgr *qmgr, const struct active_message *message, uint32_t index, int64_t when)
{
	int64_t now = qmgr_now(qmgr), age = active_age_ms(message, now);

	when = retry_before_expiry(&qmgr->limits, when, now, age);
	if (qmgr->limits.delay_notifications && report_delay_concerns(message, index))
		when = retry_before_delay(&qmgr->limits, active_priority(qmgr, message), when, now, age);
	return when;
}

bool
outcome_hasten(struct qmgr *qmgr, struct active_message *message, uint32_t index)
{
	struct envelope_recipient *recipient = &message->envelope.recipients[index];
	int64_t when = retry_is_expired(&qmgr->limits, active_age_ms(message, qmgr_now(qmgr)), recipient->attempts) ? 0 :
	    bounded(qmgr, message, index, recipient->next_attempt_ms);

	if (when >= recipient->next_attempt_ms)
		return false;
	recipient->next_attempt_ms = when;
	return true;
}

void
outcome_wait(struct qmgr *qmgr, struct active_message *message, uint32_t index, int64_t when)
{
	struct envelope_recipient *recipient = &message->envelope.recipients[index];

	recipient->next_attempt_ms = bounded(qmgr, message, index, when);
	recipient->waits_for_turn = false;
	active_set_phase(message, index, PHASE_IDLE);
	if (recipient->next_attempt_ms < message->wake_ms)
		message->wake_ms = recipient->next_attempt_ms;
}

/* Whether the sender is to be told now that the recipient waits. */
static void
consider_delay(struct qmgr *qmgr, struct active_message *message, uint32_t index)
{
	if (retry_is_delayed(&qmgr->limits, active_priority(qmgr, message), active_age_ms(message, qmgr_now(qmgr))) &&
	    report_delay_concerns(message, index))
		message->delay_due = true;
}

void
outcome_hold_back(struct qmgr *qmgr, struct active_message *message, uint32_t index, int64_t wait_ms)
{
	const struct limits *limits = &qmgr->limits;
	bool told = message->envelope.priority == PRIORITY_LOW ? limits->low_delay_chosen : limits->low_delay_by_size;
	char reason[80];

	snprintf(reason, sizeof(reason), "mail of low priority is transferred from %02d:%02d to %02d:%02d",
	    limits->low_priority_from / 60, limits->low_priority_from % 60, limits->low_priority_until / 60,
	    limits->low_priority_until % 60);
	remember(&message->envelope.recipients[index], "4.3.0", reason, NULL);
	outcome_wait(qmgr, message, index, qmgr_now(qmgr) + wait_ms);
	if (told && report_delay_concerns(message, index))
		message->delay_due = true;
	consider_delay(qmgr, message, index);
}

/* tried: it was an attempt, after which the next one comes later than after the one before. */
static void
defer(struct qmgr *qmgr, struct active_message *message, uint32_t index, int64_t when, bool tried, const char *status,
    const char *reason, const char *host, struct outcome_changes *changes)
{
	struct envelope_recipient *recipient = &message->envelope.recipients[index];
	int64_t now = qmgr_now(qmgr);
	char next[32];

	recipient->attempts += tried;
	if (!message->held && retry_is_expired(&qmgr->limits, active_age_ms(message, now), recipient->attempts)) {
		expire(qmgr, message, index, reason, host);
		return;
	}
	remember(recipient, status, reason, host);
	recipient->state = RECIPIENT_WAITING;
	if (when == 0)
		when = now + retry_interval_spread(&qmgr->limits, recipient->attempts, arc4random());
	outcome_wait(qmgr, message, index, when);
	changed(message, index, changes);
	qmgr->counters.deferrals++;
	clock_format_rfc3339(recipient->next_attempt_ms, next);
	log_event(LOG_RECIPIENT_DEFERRED, log_id(message->envelope.id), recipient->address,
	    transport_name(recipient->transport), recipient->next_hop, recipient->status, recipient->reason, next);
	consider_delay(qmgr, message, index);
}

void
outcome_defer(struct qmgr *qmgr, struct active_message *message, uint32_t index, int64_t when, const char *status,
    const char *reason, const char *host, struct outcome_changes *changes)
{
	defer(qmgr, message, index, when, true, status, reason, host, changes);
}

void
outcome_put_off(struct qmgr *qmgr, struct active_message *message, uint32_t index, struct destination *destination)
{
	int64_t now = qmgr_now(qmgr);
	struct envelope_recipient *recipient = &message->envelope.recipients[index];

	/* The destination was tried in vain since our start: that is the fresh attempt for all who wait for it. */
	if (!message->held && retry_is_expired(&qmgr->limits, active_age_ms(message, now), recipient->attempts)) {
		expire(qmgr, message, index, destination->last_reason, destination->last_host);
		return;
	}
	remember(recipient, destination->last_status, destination->last_reason, destination->last_host);
	if (++destination->put_off > window_share(qmgr, destination)) {
		window_surplus(qmgr, message, index, destination);
	} else {
		outcome_wait(qmgr, message, index, destination->down_until);
		/* An untried one goes earlier if the destination is up earlier and has room. */
		message->envelope.recipients[index].waits_for_turn = message->envelope.recipients[index].attempts == 0;
	}
	consider_delay(qmgr, message, index);
}

void
outcome_put_off_delivery(struct qmgr *qmgr, struct delivery *delivery)
{
	uint32_t i;

	for (i = delivery->taken; i < delivery->count; i++)
		outcome_put_off(qmgr, delivery->message, delivery->recipients[i], delivery->destination);
	delivery_free(&qmgr->destinations, delivery);
}

void
outcome_destination_down(struct qmgr *qmgr, struct destination *destination)
{
	struct delivery *delivery;
	int level;

	for (level = 0; level < LEVEL_COUNT; level++) {
		while ((delivery = TAILQ_FIRST(&destination->queues[level])) != NULL) {
			struct active_message *message = delivery->message;

			outcome_put_off_delivery(qmgr, delivery);
			active_settle(qmgr, message);
		}
	}
}

/* ---- results of attempts ---- */

void
outcome_apply(struct qmgr *qmgr, struct active_message *message, uint32_t index, int64_t when,
    const struct delivery_result *result, struct outcome_changes *changes)
{
	switch (result->outcome) {
	case DELIVERY_DONE:
		delivered(qmgr, message, index, result, changes);
		break;
	case DELIVERY_FAILED:
		message->envelope.recipients[index].attempts++;
		outcome_fail(qmgr, message, index,
		    result->failure == FAILURE_NONE ? FAILURE_TRANSFER : result->failure, result->status, result->text,
		    result->host);
		break;
	default:
		defer(qmgr, message, index, when, !result->host_failed || result->retry_seconds == 0, result->status,
		    result->text, result->host, changes);
		break;
	}
}

void
outcome_commit(struct qmgr *qmgr, struct active_message *message, struct outcome_changes *changes)
{
	/* A message of which nothing is left gets its done record instead. */
	if (changes->chosen != NULL && (message->open > 0 || message->phase_count[PHASE_SUCCESS] > 0) && !message->removed)
		ledger_update(qmgr, message, changes->chosen);
	free(changes->chosen);
	changes->chosen = NULL;
	active_settle(qmgr, message);
}
