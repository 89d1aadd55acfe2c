/* sender_domain - see sender_domain.h */
#include "smtpd/sender_domain.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/wire.h"
#include "common/mail/idn.h"
#include "smtpd/client_dns.h"
#include "smtpd/dns_client.h"

struct sender_domain_query {
	struct dns_client *dns;		/* borrowed */
	struct dns_query *query;
	char domain[ADDRESS_DOMAIN_MAX + 1];
	sender_domain_done_cb done;
	void *owner;
};

static void
finish(struct sender_domain_query *query, enum sender_domain_state state, const struct dns_answer *answer)
{
	sender_domain_done_cb done = query->done;
	void *owner = query->owner;

	free(query);
	done(owner, state, state == SENDER_DOMAIN_NO_ANSWER ? 0 : client_answer_lifetime_ms(answer));
}

/* Whether the MX records name a host: any but the root. */
static bool
names_a_host(const struct dns_answer *answer)
{
	struct wire_reader reader;

	wire_reader_init(&reader, answer->records.data, answer->records.length);
	for (unsigned i = 0; i < answer->count; i++) {
		wire_get_u16(&reader);
		if (*wire_get_string(&reader, ADDRESS_DOMAIN_MAX) != '\0')
			return true;
	}
	return false;
}

static void
on_addresses(void *owner, const struct dns_answer *answer)
{
	struct sender_domain_query *query = owner;

	query->query = NULL;
	finish(query, answer->outcome == DNS_FOUND ? SENDER_DOMAIN_EXISTS :
	    answer->outcome == DNS_NO_ANSWER ? SENDER_DOMAIN_NO_ANSWER : SENDER_DOMAIN_MISSING, answer);
}

static void
on_mx(void *owner, const struct dns_answer *answer)
{
	struct sender_domain_query *query = owner;

	query->query = NULL;
	switch ((enum dns_outcome)answer->outcome) {
	case DNS_FOUND:
		finish(query, names_a_host(answer) ? SENDER_DOMAIN_EXISTS : SENDER_DOMAIN_MISSING, answer);
		break;
	case DNS_NO_DATA:
		query->query = dns_client_ask(query->dns, DNS_HOST, query->domain, on_addresses, query);
		break;
	case DNS_NO_NAME:
		finish(query, SENDER_DOMAIN_MISSING, answer);
		break;
	case DNS_NO_ANSWER:
		finish(query, SENDER_DOMAIN_NO_ANSWER, answer);
		break;
	}
}

struct sender_domain_query *
sender_domain_ask(struct dns_client *dns, const struct address *sender, sender_domain_done_cb done, void *owner)
{
	struct sender_domain_query *query;
	char domain[ADDRESS_DOMAIN_MAX + 1];

	if (sender->is_literal || !domain_to_ascii(sender->domain, domain)) {
		done(owner, sender->is_literal ? SENDER_DOMAIN_EXISTS : SENDER_DOMAIN_MISSING, 0);
		return NULL;
	}
	query = memory_new(1, sizeof(*query));
	query->dns = dns;
	query->done = done;
	query->owner = owner;
	strcpy(query->domain, domain);
	query->query = dns_client_ask(dns, DNS_MX, domain, on_mx, query);
	return query;
}

void
sender_domain_forget(struct sender_domain_query **query)
{
	if (*query == NULL)
		return;
	dns_client_forget((*query)->dns, &(*query)->query);
	free(*query);
	*query = NULL;
}
