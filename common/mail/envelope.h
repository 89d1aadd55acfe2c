/*
 * envelope - a message's sender, recipients and facts, in memory and as octets
 *
 * The octets go over IPC and into MAIL.BOX: they begin with a version, and a newer program reads the form of
 * the one before it. Decoding trusts nothing.
 */
#ifndef COMMON_MAIL_ENVELOPE_H
#define COMMON_MAIL_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/error.h"

#define ENVELOPE_RECIPIENTS_MAX 100000	/* no decoder allocates for more */
#define ENVELOPE_TEXT_MAX 1024		/* octets of an address, a reason, a name */

enum message_format { FORMAT_MIME, FORMAT_NOTES };
enum message_priority { PRIORITY_NORMAL, PRIORITY_HIGH, PRIORITY_LOW };
enum message_body { BODY_7BIT, BODY_8BITMIME, BODY_BINARYMIME };
enum message_return { RETURN_UNSPECIFIED, RETURN_FULL, RETURN_HEADERS };

/* RFC 3461 NOTIFY, as bits; 0: not given. */
enum { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 };

enum transport { TRANSPORT_NONE, TRANSPORT_LOCAL, TRANSPORT_SMTP, TRANSPORT_LMTP };

/* Why a recipient failed for good: the classes of the Domino Router (docs/reference/domino-semantics.md, 8.3). */
enum failure_class { FAILURE_NONE, FAILURE_TRANSFER, FAILURE_DELIVERY, FAILURE_EXPIRATION, FAILURE_DOMAIN,
	FAILURE_SERVER, FAILURE_USERNAME, FAILURE_SIZE, FAILURE_RESTRICTION, FAILURE_CLASS_COUNT };

enum recipient_state {
	RECIPIENT_NEW,		/* to be routed */
	RECIPIENT_WAITING,	/* routed; to be delivered now or at next_attempt */
	RECIPIENT_DELIVERED,
	RECIPIENT_FAILED,
	RECIPIENT_EXPANDED,	/* a group or forwarding address; its members are recipients of their own */
	RECIPIENT_STATE_COUNT
};

struct envelope_recipient {
	uint32_t number;		/* never changes; unique within the message */
	char *address;			/* owned: as given in RCPT TO, or by the expansion */
	char *original;			/* owned: ORCPT as given ("rfc822;..."), xtext decoded; NULL: none */
	uint8_t notify;			/* NOTIFY_ bits */
	uint16_t forwards;		/* expansions behind it */
	uint32_t parent;		/* the recipient it was expanded from; its own number if from none */
	enum recipient_state state;
	/* the rest is decided by routing and attempts */
	enum transport transport;
	char *next_hop;			/* owned or NULL */
	char *delivery_address;		/* owned or NULL: mail file, or address at the next hop when another */
	uint32_t attempts;
	int64_t next_attempt_ms;	/* wall time; 0: at once */
	enum failure_class failure;
	char *status;			/* owned or NULL: RFC 3463 status of the last attempt */
	char *reason;			/* owned or NULL: last reply or error, one line of any octets but CR, LF, NUL */
	char *remote_host;		/* owned or NULL: who said so */
	bool delay_reported;
	bool waits_for_turn;		/* parked because its destination was full or down: next_attempt_ms is only when to look again */
};

struct envelope {
	uint64_t id;
	char *sender;			/* owned; "" is the null sender */
	int64_t arrival_ms;		/* wall time of acceptance */
	enum message_format format;
	enum message_priority priority;
	enum message_body body;
	enum message_return ret;
	bool smtputf8;
	char *envid;			/* owned or NULL: ENVID, xtext decoded */
	uint16_t hops;			/* Received fields at acceptance */
	bool is_report;			/* written by us: never reported about */
	char *client_address;		/* owned or NULL: facts for the log and later rules */
	char *client_name;
	char *helo;
	char *protocol;			/* "ESMTP", "SMTP", "LOCAL" */
	char *user;			/* authenticated or submitting user, or NULL */
	struct envelope_recipient *recipients;	/* owned array */
	size_t recipient_count;
	size_t recipient_capacity;
};

void envelope_init(struct envelope *envelope);
void envelope_free(struct envelope *envelope);

/* Adds a recipient numbered after the last one; state NEW. The result is valid until the next addition. */
struct envelope_recipient *envelope_add_recipient(struct envelope *envelope, const char *address);

/* The recipient of that number, or NULL. Numbers ascend. */
struct envelope_recipient *envelope_find_recipient(struct envelope *envelope, uint32_t number);

/*
 * Appends the envelope's octets. chosen (recipient_count flags) picks recipients; NULL: all. False, and nothing is
 * appended, at out's limit and when an address, ENVID, ORCPT or next hop has a line end or is over
 * ENVELOPE_TEXT_MAX. Texts for people (reason, status, facts of the client) are cut and made one line instead.
 * Recipients stand in the order of their numbers.
 */
bool envelope_encode(const struct envelope *envelope, const bool *chosen, struct buffer *out);

/*
 * Fills envelope (initialised by this call) from octets; "" of an optional text becomes NULL. -1 and an error when
 * they are not an envelope; it is then empty.
 */
int envelope_decode(const void *data, size_t length, struct envelope *envelope, struct error *error);

const char *transport_name(enum transport transport);
const char *recipient_state_name(enum recipient_state state);

#endif
