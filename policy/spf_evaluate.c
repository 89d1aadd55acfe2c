/* spf_evaluate - see spf_evaluate.h */
#include "policy/spf_evaluate.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mail/address.h"
#include "common/mail/idn.h"
#include "policy/spf_library.h"

#define NAME_OCTETS_MAX 253

/* ---- the identity ----------------------------------------------------------------------------- */

/* An IPv4 address in the form of IPv6 is one of IPv4 (section 5). */
static bool
take_client(struct spf_evaluation *evaluation)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	struct spf_macro_values *values = &evaluation->values;
	const char *text = evaluation->request->client_address;

	values->family = AF_INET;
	if (inet_pton(AF_INET, text, values->address) != 1) {
		if (inet_pton(AF_INET6, text, values->address) != 1)
			return false;
		if (memcmp(values->address, mapped, sizeof(mapped)) == 0)
			memmove(values->address, values->address + sizeof(mapped), 4);
		else
			values->family = AF_INET6;
	}
	return inet_ntop(values->family, values->address, evaluation->client, sizeof(evaluation->client)) != NULL;
}

/* The domain of the identity: an international one in A-labels (RFC 8616). */
static void
take_sender(struct spf_evaluation *evaluation)
{
	const struct spf_request *request = evaluation->request;
	const char *at = strrchr(request->sender, '@'), *domain = at == NULL ? request->sender : at + 1;
	char ascii[ADDRESS_DOMAIN_MAX + 1];
	size_t length = at == NULL ? 0 : (size_t)(at - request->sender);
	size_t i;

	if (request->sender[0] == '\0')
		domain = request->helo;
	for (i = 0; domain[i] != '\0' && (unsigned char)domain[i] < 128; i++)
		;
	if (domain[i] != '\0' && domain_to_ascii(domain, ascii))
		domain = ascii;
	/* A sender without a local part is postmaster (section 4.3). */
	snprintf(evaluation->local_part, sizeof(evaluation->local_part), "%.*s",
	    length > 0 ? (int)length : (int)strlen("postmaster"), length > 0 ? request->sender : "postmaster");
	snprintf(evaluation->sender, sizeof(evaluation->sender), "%s@%.*s", evaluation->local_part,
	    ADDRESS_DOMAIN_MAX, domain);
	evaluation->domain = evaluation->sender + strlen(evaluation->local_part) + 1;
}

static void
fill_values(struct spf_evaluation *evaluation)
{
	struct spf_macro_values *values = &evaluation->values;

	values->sender = evaluation->sender;
	values->local_part = evaluation->local_part;
	values->sender_domain = evaluation->domain;
	values->helo = evaluation->request->helo;
	values->receiver = evaluation->request->receiver[0] != '\0' ? evaluation->request->receiver : "unknown";
	values->now = (int64_t)evaluation->request->now;
}

/* Section 4.3: a name of several labels; neither an address literal nor a single word. */
static bool
is_domain(const char *domain, char name[static SPF_NAME_SIZE])
{
	return domain[0] != '[' && strlen(domain) <= NAME_OCTETS_MAX &&
	    spf_name_make((struct spf_text){ domain, strlen(domain) }, name) && strchr(name, '.') != NULL;
}

/* ---- the explanation of a fail ---------------------------------------------------------------- */

/* Section 6.2: printable ASCII, or it counts as none. It is cut to what has room. */
static void
take_explanation(struct spf_reply *reply, const struct buffer *text)
{
	size_t i;

	for (i = 0; i < text->length; i++)
		if (text->data[i] < ' ' || text->data[i] > '~')
			return;
	snprintf(reply->text, sizeof(reply->text), "%s", buffer_text(text));
}

/* Anything that is wrong with it leaves the fail without an explanation. Its lookup counts for no limit. */
static void
explain(struct spf_evaluation *evaluation, const struct spf_place *place)
{
	struct buffer text = BUFFER_INITIALIZER(0);
	const struct spf_known *known;
	struct spf_known_record record;
	struct wire_reader reader;
	char name[SPF_NAME_SIZE], escaped[SPF_NAME_SIZE];

	if (!spf_place_name(evaluation, place, name))
		return;
	spf_name_escape(name, escaped);
	known = spf_look(evaluation, DNS_TXT, escaped);
	if (known == NULL)
		return;
	wire_reader_init(&reader, known->records, known->length);
	if (known->count == 1 && spf_known_next(known, &reader, &record) &&
	    spf_expand(evaluation, record.text, place->domain, &text))
		take_explanation(evaluation->reply, &text);
	buffer_free(&text);
}

/* ---- check_host() ----------------------------------------------------------------------------- */

static void
judge(struct spf_evaluation *evaluation)
{
	struct spf_reply *reply = evaluation->reply;
	struct spf_place explanation;
	char name[SPF_NAME_SIZE], *domain = NULL;
	enum spf_verdict verdict;
	struct spf_text record;

	if (!is_domain(evaluation->domain, name) || !spf_find_record(evaluation, name, &record))
		return;
	verdict = spf_library_judge(evaluation, name, record, &explanation, &domain);
	if (!evaluation->ended) {
		reply->verdict = verdict;
		if (explanation.spec.length > 0)
			explain(evaluation, &explanation);
	}
	free(domain);
}

void
spf_evaluate(const struct spf_request *request, struct spf_reply *reply)
{
	struct spf_evaluation evaluation = { .request = request, .reply = reply };

	memset(reply, 0, sizeof(*reply));
	reply->verdict = SPF_VERDICT_NONE;
	if (!take_client(&evaluation))
		return;
	take_sender(&evaluation);
	fill_values(&evaluation);
	judge(&evaluation);
}

bool
spf_evaluate_packed(const void *data, size_t length, struct buffer *reply)
{
	struct spf_request request;
	struct spf_reply made;
	bool is_well_formed = spf_request_get(data, length, &request);

	if (is_well_formed) {
		spf_evaluate(&request, &made);
		spf_reply_put(reply, &made);
	}
	spf_answers_free(&request.answers);
	return is_well_formed;
}
