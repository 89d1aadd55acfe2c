/* inquiry - see inquiry.h */
#include "smtpd/inquiry.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "common/base/memory.h"
#include "common/ipc/directory.h"
#include "common/ipc/dns.h"
#include "common/ipc/policy.h"
#include "smtpd/call_out_client.h"
#include "smtpd/client_memory.h"
#include "smtpd/client_network.h"
#include "smtpd/directory_memory.h"
#include "smtpd/dns_client.h"
#include "smtpd/lookup.h"
#include "smtpd/policy_client.h"
#include "smtpd/rules.h"
#include "smtpd/sender_domain.h"
#include "smtpd/sender_memory.h"

struct inquirer {
	struct event_base *base;
	struct dns_client *dns;
	struct client_memory *clients;
	struct policy_client *policy;
	struct lookups *lookups;
	struct directory_memory *memory;
	struct call_out_client *call_outs;
	struct sender_memory *senders;
	LIST_HEAD(, inquiry) inquiries;
};

struct inquiry {
	LIST_ENTRY(inquiry) entries;
	struct inquirer *inquirer;
	enum fact fact;
	bool is_asking;			/* whoever is asked has not returned yet */
	bool is_answered;		/* and has answered already */
	char *sender_key;		/* owned; what the answer is kept under in senders, or NULL */
	inquiry_done_cb done;
	void *owner;
	/* Whoever is asked; the others are NULL. */
	struct client_wait *client;
	struct policy_query *policy;
	struct sender_domain_query *domain;
	struct lookup *lookup;
	struct memory_query *greylist;
	struct call_out_query *call_out;
};

struct inquirer *
inquirer_new(struct event_base *base, struct limits *limits)
{
	struct inquirer *inquirer = memory_new(1, sizeof(*inquirer));

	inquirer->base = base;
	inquirer->dns = dns_client_new(base);
	inquirer->clients = client_memory_new(base, inquirer->dns);
	inquirer->policy = policy_client_new(base, limits);
	inquirer->memory = directory_memory_new();
	inquirer->lookups = lookups_new(inquirer->memory);
	inquirer->call_outs = call_out_client_new(inquirer->memory);
	inquirer->senders = sender_memory_new();
	LIST_INIT(&inquirer->inquiries);
	return inquirer;
}

static void
free_inquiry(struct inquiry *inquiry)
{
	struct inquirer *inquirer = inquiry->inquirer;

	client_memory_forget(&inquiry->client);
	policy_client_forget(inquirer->policy, &inquiry->policy);
	sender_domain_forget(&inquiry->domain);
	lookups_forget(inquirer->lookups, &inquiry->lookup);
	directory_memory_forget(inquirer->memory, &inquiry->greylist);
	call_out_client_forget(&inquiry->call_out);
	LIST_REMOVE(inquiry, entries);
	free(inquiry->sender_key);
	free(inquiry);
}

void
inquirer_free(struct inquirer **inquirer)
{
	struct inquirer *going = *inquirer;
	struct inquiry *inquiry;

	if (going == NULL)
		return;
	while ((inquiry = LIST_FIRST(&going->inquiries)) != NULL)
		free_inquiry(inquiry);
	client_memory_free(&going->clients);
	dns_client_free(&going->dns);
	policy_client_free(&going->policy);
	call_out_client_free(&going->call_outs);
	lookups_free(&going->lookups);
	directory_memory_free(&going->memory);
	sender_memory_free(&going->senders);
	free(going);
	*inquirer = NULL;
}

bool
inquirer_connect(struct inquirer *inquirer, const struct ipc_protocol *protocol, int socket)
{
	if (protocol == &dns_protocol)
		dns_client_connect(inquirer->dns, socket);
	else if (protocol == &policy_protocol)
		policy_client_connect(inquirer->policy, socket);
	else if (protocol == &directory_protocol)
		lookups_connect(inquirer->lookups, inquirer->base, socket);
	else
		return false;
	return true;
}

void
inquirer_use_queue(struct inquirer *inquirer, struct channel *queue)
{
	call_out_client_use(inquirer->call_outs, queue);
}

void
inquirer_take_call_out(struct inquirer *inquirer, const struct call_out_answer *message)
{
	call_out_client_take(inquirer->call_outs, message);
}

void
inquirer_session_closed(struct inquirer *inquirer, const struct client_facts *client)
{
	policy_client_session_closed(inquirer->policy, client);
}

/* ---- answers ---- */

/* Whoever answered has forgotten the question. */
static void
finish(struct inquiry *inquiry, const struct fact_answer *answer)
{
	inquiry_done_cb done = inquiry->done;
	void *owner = inquiry->owner;

	inquiry->client = NULL;
	inquiry->policy = NULL;
	inquiry->domain = NULL;
	inquiry->lookup = NULL;
	inquiry->greylist = NULL;
	inquiry->call_out = NULL;
	inquiry->is_answered = true;
	if (inquiry->sender_key != NULL)
		sender_memory_keep(inquiry->inquirer->senders, inquiry->sender_key, answer);
	if (!inquiry->is_asking)
		free_inquiry(inquiry);
	done(owner, answer);
}

static void
on_answer(void *owner, const struct fact_answer *answer)
{
	finish(owner, answer);
}

static void
on_sender_domain(void *owner, enum sender_domain_state state, int64_t lasts_ms)
{
	finish(owner, &(struct fact_answer){ .fact = FACT_SENDER_DOMAIN, .lasts_ms = lasts_ms, .sender_domain = state });
}

static void
on_found(void *owner, enum recipient_finding finding)
{
	finish(owner, &(struct fact_answer){ .fact = FACT_DIRECTORY, .directory = finding });
}

static void
on_greylist(void *owner, const struct memory_answer *answer)
{
	finish(owner, &(struct fact_answer){ .fact = FACT_GREYLIST,
	    .greylist = { answer->known ? GREYLIST_KNOWN : GREYLIST_TOO_SOON, answer->seconds } });
}

/* ---- questions: whom each fact is asked of ---- */

static void
ask_client_memory(struct inquiry *inquiry, const struct inquiry_subject *subject)
{
	inquiry->client = client_memory_ask(inquiry->inquirer->clients, inquiry->fact, subject->rules,
	    subject->client->address, on_answer, inquiry);
}

static void
ask_policy(struct inquiry *inquiry, const struct inquiry_subject *subject)
{
	inquiry->policy = policy_client_ask(inquiry->inquirer->policy, inquiry->fact, subject->client, subject->sender,
	    subject->is_rehearsal, on_answer, inquiry);
}

/* Whether the answer for this sender is kept; if it is not, it will be. */
static bool
is_remembered(struct inquiry *inquiry, const struct inquiry_subject *subject)
{
	struct fact_answer answer;
	char *key = sender_memory_key(inquiry->fact, subject->client, subject->sender);
	bool found = sender_memory_find(inquiry->inquirer->senders, key, &answer);

	if (found) {
		free(key);
		finish(inquiry, &answer);
	} else {
		inquiry->sender_key = key;
	}
	return found;
}

static void
ask_spf(struct inquiry *inquiry, const struct inquiry_subject *subject)
{
	if (!is_remembered(inquiry, subject))
		ask_policy(inquiry, subject);
}

static void
ask_sender_domain(struct inquiry *inquiry, const struct inquiry_subject *subject)
{
	if (is_remembered(inquiry, subject))
		return;
	inquiry->domain = sender_domain_ask(inquiry->inquirer->dns, subject->sender->address, on_sender_domain, inquiry);
}

static void
ask_directory(struct inquiry *inquiry, const struct inquiry_subject *subject)
{
	inquiry->lookup = lookups_ask(inquiry->inquirer->lookups, subject->rules, subject->recipient, on_found, inquiry);
}

static void
ask_greylist(struct inquiry *inquiry, const struct inquiry_subject *subject)
{
	const struct document_configuration *configuration = rules_configuration(subject->rules);
	char network[CLIENT_NETWORK_MAX];

	client_network(subject->client->address, (unsigned)configuration->network_prefix_ipv4.number,
	    (unsigned)configuration->network_prefix_ipv6.number, network);
	inquiry->greylist = directory_memory_ask_greylist(inquiry->inquirer->memory, network, subject->sender->address->text,
	    subject->recipient->address->text, subject->is_rehearsal, on_greylist, inquiry);
}

static void
ask_call_out(struct inquiry *inquiry, const struct inquiry_subject *subject)
{
	inquiry->call_out = call_out_client_ask(inquiry->inquirer->call_outs, subject->recipient->address->text,
	    subject->is_rehearsal, on_answer, inquiry);
}

static void (*const askers[FACT_COUNT])(struct inquiry *inquiry, const struct inquiry_subject *subject) = {
	[FACT_ADMISSION] = ask_policy,
	[FACT_HOST_NAMES] = ask_client_memory,
	[FACT_DNS_LISTS] = ask_client_memory,
	[FACT_MESSAGE_RATE] = ask_policy,
	[FACT_SENDER_DOMAIN] = ask_sender_domain,
	[FACT_SPF] = ask_spf,
	[FACT_DIRECTORY] = ask_directory,
	[FACT_RECIPIENT_RATE] = ask_policy,
	[FACT_CALL_OUT] = ask_call_out,
	[FACT_GREYLIST] = ask_greylist,
};

struct inquiry *
inquiry_ask(struct inquirer *inquirer, enum fact fact, const struct inquiry_subject *subject, inquiry_done_cb done,
    void *owner)
{
	struct inquiry *inquiry;

	if (askers[fact] == NULL) {
		struct fact_answer nothing = fact_unanswered(fact);

		done(owner, &nothing);
		return NULL;
	}
	inquiry = memory_new(1, sizeof(*inquiry));
	inquiry->inquirer = inquirer;
	inquiry->fact = fact;
	inquiry->done = done;
	inquiry->owner = owner;
	LIST_INSERT_HEAD(&inquirer->inquiries, inquiry, entries);
	inquiry->is_asking = true;
	askers[fact](inquiry, subject);
	inquiry->is_asking = false;
	if (!inquiry->is_answered)
		return inquiry;
	free_inquiry(inquiry);
	return NULL;
}

void
inquiry_forget(struct inquiry **inquiry)
{
	if (*inquiry != NULL)
		free_inquiry(*inquiry);
	*inquiry = NULL;
}
