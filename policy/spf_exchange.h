/*
 * spf_exchange - what policy and its evaluator say to each other about one identity
 *
 * A request holds all that there is to know; the evaluator remembers nothing between two of them. Its reply is the verdict, or
 * the questions whose answers it lacks: policy asks them and sends the request again, with these answers more. Each reads the
 * other's octets as a stranger's.
 */
#ifndef POLICY_SPF_EXCHANGE_H
#define POLICY_SPF_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/ipc/policy.h"
#include "policy/spf_answers.h"

#define SPF_QUESTIONS_MAX 16		/* of one reply */
#define SPF_ADDRESS_SIZE 64
#define SPF_HELO_SIZE 256
#define SPF_SENDER_SIZE 1025
#define SPF_REPLY_TEXT_SIZE 401		/* fits a line of an SMTP reply */

struct spf_request {
	char client_address[SPF_ADDRESS_SIZE];
	char helo[SPF_HELO_SIZE];
	char sender[SPF_SENDER_SIZE];	/* "": HELO is the identity */
	char receiver[SPF_HELO_SIZE];	/* our own name; "" when unknown */
	uint64_t now;			/* seconds since 1970 */
	struct spf_answers answers;
};

struct spf_wanted {
	enum dns_kind kind;
	char name[SPF_NAME_SIZE];
};

struct spf_reply {
	unsigned wanted_count;		/* 0: there is a verdict */
	struct spf_wanted wanted[SPF_QUESTIONS_MAX];
	enum spf_verdict verdict;
	char text[SPF_REPLY_TEXT_SIZE];	/* of a fail, the domain's explanation; of an error, what is wrong; printable ASCII */
};

void spf_request_put(struct buffer *out, const struct spf_request *request);
/* False: malformed. Free the answers in any case. */
bool spf_request_get(const void *data, size_t length, struct spf_request *request);

void spf_reply_put(struct buffer *out, const struct spf_reply *reply);
/* False: malformed, or its text is not printable. */
bool spf_reply_get(const void *data, size_t length, struct spf_reply *reply);

#endif
