/*
 * facts - what is known of a client, of its sender and of a recipient, and the memory that it lies in
 *
 * Facts that others must be asked for (smtpd/controls/facts.def) arrive as answers, here or from a test; an
 * answer is copied. Each fact is taken once: what was judged by it stays as it was.
 */
#ifndef SMTPD_FACTS_H
#define SMTPD_FACTS_H

#include <stdint.h>

#include "smtpd/controls/control.h"

struct rules;

/* The answer to one fact. Pointers are lent until the callback that brings it returns. */
struct fact_answer {
	enum fact fact;
	int64_t lasts_ms;	/* SENDER_DOMAIN, SPF: how long it holds for the same client and the same domain; 0: this once */
	union {
		struct {			/* ADMISSION, MESSAGE_RATE, RECIPIENT_RATE */
			enum rate_state state;
			const char *rule;	/* RATE_EXCEEDED: the key of a setting */
		} rate;
		bool spoke_early;		/* PATIENCE */
		const struct host_names *host_names;
		const struct dns_lists *dns_lists;
		enum sender_domain_state sender_domain;
		struct {
			enum spf_verdict helo, mail;
			const char *text;
		} spf;
		enum recipient_finding directory;
		struct {
			enum call_out_finding finding;
			const char *text;
		} call_out;
		struct {
			enum greylist_finding finding;
			uint32_t seconds;
		} greylist;
	};
};

/* The facts of a session. */
struct known_client {
	struct client_facts facts;
	struct host_names *host_names;	/* owned or NULL */
	struct dns_lists *dns_lists;	/* owned or NULL */
};

/* The facts of a MAIL. */
struct known_sender {
	struct sender_facts facts;
	struct address address;
	char *spf_text;			/* owned or NULL */
};

/* The facts of a RCPT. */
struct known_recipient {
	struct recipient_facts facts;
	struct address address;
	char *call_out_text;		/* owned or NULL */
};

/* Gives back what the answers took; the struct itself is the caller's, and all zero afterwards. */
void known_client_free(struct known_client *client);
void known_sender_free(struct known_sender *sender);
void known_recipient_free(struct known_recipient *recipient);

/* Says whether the recipient is one of ours; its address is there. */
void known_recipient_locate(struct known_recipient *recipient, const struct rules *rules);

/* Takes an answer, unless its fact is known already, or what it is about is not there (NULL). */
void facts_learn(const struct fact_answer *answer, struct known_client *client, struct known_sender *sender,
    struct known_recipient *recipient);

bool fact_is_known(enum fact fact, const struct known_client *client, const struct known_sender *sender,
    const struct known_recipient *recipient);

/* What a fact is when nobody answers in time (docs/reference/domino-semantics.md, section 13, point 22). */
struct fact_answer fact_unanswered(enum fact fact);

/* How long an answer is waited for, in milliseconds. Who asks keeps this time. */
int64_t fact_time_ms(enum fact fact, const struct rules *rules);

/* The name of the client that counts: the first that leads back to its address; NULL when there is none. */
const char *confirmed_host_name(const struct host_names *names);

#endif
