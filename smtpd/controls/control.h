/*
 * control - what an inbound control is: a pure function over settings and facts
 *
 * A control does no I/O and keeps nothing. What it needs to know from others it names (CONTROL_NEEDS); once that
 * fact is known it is asked again. So the listener, `matador explain session` and the tests get the same verdict
 * from the same facts.
 */
#ifndef SMTPD_CONTROLS_CONTROL_H
#define SMTPD_CONTROLS_CONTROL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/conf/settings.h"
#include "common/ipc/policy.h"
#include "common/mail/address.h"
#include "smtpd/reply.h"

struct rules;

enum fact {
#define FACT(symbol, scope, word, meaning) FACT_##symbol,
#include "smtpd/controls/facts.def"
#undef FACT
	FACT_COUNT,
};
#define FACT_BIT(fact) (1u << (fact))

enum control_stage { CONTROL_AT_CONNECT, CONTROL_AT_CLIENT, CONTROL_AT_MAIL, CONTROL_AT_RCPT };

/* ---- facts ---- */

#define HOST_NAMES_MAX 8	/* names of one address that are looked at */
#define HOST_NAME_MAX_OCTETS 255

enum host_names_state {
	HOST_NAMES_FOUND,
	HOST_NAMES_NONE,
	HOST_NAMES_NO_ANSWER,	/* the DNS is silent: the client counts as one without a name */
};

/* The names of a client's address. */
struct host_names {
	enum host_names_state state;
	size_t count;
	struct {
		char name[HOST_NAME_MAX_OCTETS + 1];	/* without the last dot, a host name's octets only */
		bool is_confirmed;			/* it leads back to the address */
	} names[HOST_NAMES_MAX];
};

#define DNS_LIST_ANSWERS_MAX 8	/* addresses of one answer that are looked at */

/* What one zone said of the client's address. Answers outside 127.0.0.0/8 are not among them. */
struct dns_list_answer {
	bool has_answered;		/* false: silent, or it failed: "not listed" */
	size_t count;			/* 0: not listed */
	struct in_addr answers[DNS_LIST_ANSWERS_MAX];
};

/* One answer for each zone of dns_whitelist_sites, then one for each of dns_blacklist_sites. A zone that is in both is
 * told in both places. */
struct dns_lists {
	size_t count;
	struct dns_list_answer answers[];
};

enum rate_state {
	RATE_WITHIN,
	RATE_EXCEEDED,		/* rate_rule names the setting */
	RATE_UNKNOWN,		/* policy is away: within */
};

/* Of a session. Pointers are borrowed from its owner. */
struct client_facts {
	uint32_t known;				/* FACT_BITs of scope CLIENT */
	const struct sockaddr *address;		/* AF_INET, AF_INET6; an IPv4-mapped one counts as IPv4 */
	const char *address_text;		/* "192.0.2.1", "2001:db8::1", "local" */
	bool is_local_user;			/* of this host, over the control socket: no control of stage CLIENT applies */
	bool is_tls;
	bool is_crowded;			/* maximum_sessions_per_client cannot be judged without policy */
	bool spoke_early;			/* FACT_PATIENCE: it did not wait for the greeting */
	const char *helo;			/* NULL before it */
	const char *user;			/* who authenticated, or NULL */
	const struct host_names *host_names;	/* FACT_HOST_NAMES */
	const struct dns_lists *dns_lists;	/* FACT_DNS_LISTS */
	enum rate_state admission;		/* FACT_ADMISSION */
	const char *admission_rule;		/* the setting that says no: a key of settings.def */
};

enum sender_domain_state {
	SENDER_DOMAIN_EXISTS,			/* it has an MX that is not the null MX, or an address */
	SENDER_DOMAIN_MISSING,
	SENDER_DOMAIN_NO_ANSWER,
};

/* Of a MAIL. */
struct sender_facts {
	uint32_t known;				/* FACT_BITs of scope SENDER */
	const struct address *address;		/* text is "" for the null sender */
	enum sender_domain_state domain;	/* FACT_SENDER_DOMAIN */
	enum spf_verdict spf_helo, spf_mail;	/* FACT_SPF */
	const char *spf_text;			/* why, or the domain's own explanation of a fail; printable; "" for none */
	enum rate_state message_rate;		/* FACT_MESSAGE_RATE */
	const char *message_rate_rule;
};

/* What the directory says of a recipient. */
enum recipient_finding { RECIPIENT_IS_UNKNOWN, RECIPIENT_IS_PERSON, RECIPIENT_IS_GROUP, RECIPIENT_IS_AMBIGUOUS,
	RECIPIENT_CANNOT_BE_FOUND_NOW };

enum call_out_finding { CALL_OUT_TAKEN, CALL_OUT_REFUSED, CALL_OUT_NO_ANSWER };

enum greylist_finding { GREYLIST_KNOWN, GREYLIST_TOO_SOON, GREYLIST_NO_ANSWER };

/* Of a RCPT. */
struct recipient_facts {
	uint32_t known;				/* FACT_BITs of scope RECIPIENT */
	const struct address *address;
	bool is_local;				/* its domain is a local Internet domain, or it has none */
	const char *primary_domain;		/* when the domain is an alias; NULL otherwise */
	enum recipient_finding directory;	/* FACT_DIRECTORY */
	enum call_out_finding call_out;		/* FACT_CALL_OUT */
	const char *call_out_text;		/* the far host's reply to the refused recipient; printable */
	enum greylist_finding greylist;		/* FACT_GREYLIST */
	uint32_t greylist_seconds;		/* GREYLIST_TOO_SOON: until it is soon enough */
	enum rate_state recipient_rate;		/* FACT_RECIPIENT_RATE */
	const char *recipient_rate_rule;
};

/* ---- verdicts ---- */

enum control_verdict {
	CONTROL_PASSES,		/* nothing against it */
	CONTROL_SKIPPED,	/* it does not apply: switched off, nothing on its list, the host is not subject to it */
	CONTROL_EXEMPTS,	/* relay enforcement: the host is not subject to relay controls and filters */
	CONTROL_HITS,		/* a filter's list has the client: the filters behind it are skipped */
	CONTROL_REFUSES,
	CONTROL_NEEDS,		/* fact must be known first */
};

enum control_note { NOTE_NOTHING, NOTE_LOG, NOTE_TAG };	/* NOTE_TAG logs too */

#define CONTROL_TEXT_MAX 512

struct control_judgement {
	enum control_verdict verdict;
	enum fact fact;			/* CONTROL_NEEDS */
	enum reply reply;		/* CONTROL_REFUSES: the reply, with text for its %s */
	enum control_note note;		/* of a hit, a refusal or an SPF verdict: what is left behind */
	const char *rule;		/* the key of the setting that decided; "" for none */
	struct position at;		/* where that setting, or the list entry that decided, stands */
	const char *entry;		/* the list entry that decided, borrowed from the rules; or NULL */
	char site[256];			/* a filter: what stands in the tag, "PrivateBlacklist" or the zone; otherwise "" */
	char text[CONTROL_TEXT_MAX];	/* a refusal's argument */
};

/* What the controls of stage CLIENT found out so far about a client; made by control_walk(). */
struct control_standing {
	bool is_exempt;			/* from relay controls and filters */
	bool is_listed;			/* one of the filters has it: those behind are skipped */
};

struct control_question {
	const struct rules *rules;
	const struct client_facts *client;
	const struct control_standing *standing;
	const struct sender_facts *sender;		/* NULL before MAIL */
	const struct recipient_facts *recipient;	/* NULL before RCPT */
};

typedef void control_function(const struct control_question *question, struct control_judgement *judgement);

/* A row of order.def. */
struct control {
	enum control_stage stage;
	const char *word;
	control_function *judge;
	const char *meaning;
};

#define CONTROL(symbol, stage, word, function, meaning) CONTROL_##symbol,
enum control_number {
#include "smtpd/controls/order.def"
	CONTROL_COUNT,
};
#undef CONTROL

extern const struct control controls[CONTROL_COUNT];

/* Every control of order.def fills a judgement that is all zero (rule "", verdict CONTROL_PASSES) before. */
#define CONTROL(symbol, stage, word, function, meaning) control_function function;
#include "smtpd/controls/order.def"
#undef CONTROL

#endif
