/* spf_library - see spf_library.h */
#include "policy/spf_library.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spf2/spf.h>
#include <spf2/spf_dns.h>

#include "common/base/memory.h"

#define MADE_UP_NAME "t%zu.x"
#define MADE_UP_SIZE 32
#define HOSTS_MAX 10		/* of an mx; section 4.6.4 */
#define TERMS_WRITTEN_MAX 11	/* the eleventh that asks the DNS is an error: no later one is ever reached */
#define ENOUGH 1000000		/* for libspf2's own counts, so that only ours decide */

/* What a made-up name stands for. */
enum target_kind { TARGET_RECORD, TARGET_A, TARGET_MX, TARGET_HOST, TARGET_PTR, TARGET_EXISTS, TARGET_EXPLANATION };

struct target {
	enum target_kind kind;
	struct spf_place place;
	char host[SPF_NAME_SIZE];	/* TARGET_HOST */
	size_t of;			/* TARGET_HOST: the mx that it belongs to */
	bool matches_any;		/* a prefix of no bits: any address matches, if there is one */
};

/* One evaluation. */
struct library {
	struct spf_evaluation *evaluation;
	struct target *targets;		/* owned */
	size_t target_count;
	char **domains;			/* owned: of the records seen, the first one's is the identity's */
	size_t domain_count;
	SPF_server_t *server;
};

/* ---- made-up names ---------------------------------------------------------------------------- */

static size_t
add_target(struct library *library, enum target_kind kind, struct spf_text spec, const char *domain)
{
	struct target *target;

	library->targets = memory_resize(library->targets, library->target_count + 1, sizeof(*library->targets));
	target = &library->targets[library->target_count];
	memset(target, 0, sizeof(*target));
	target->kind = kind;
	target->place = (struct spf_place){ .spec = spec, .domain = domain };
	return library->target_count++;
}

/* The target that a name was made up for, or NULL. */
static struct target *
find_target(const struct library *library, const char *name)
{
	char expected[MADE_UP_SIZE];
	size_t number;

	if (name == NULL || sscanf(name, "t%zu", &number) != 1 || number >= library->target_count)
		return NULL;
	snprintf(expected, sizeof(expected), MADE_UP_NAME, number);
	return strcmp(name, expected) == 0 ? &library->targets[number] : NULL;
}

/* ---- a record, as libspf2 gets it ------------------------------------------------------------- */

static bool
is_in_network(const struct spf_macro_values *values, const struct spf_term *term)
{
	unsigned bits = term->mechanism == SPF_MECHANISM_IP4 ? term->prefix4 : term->prefix6;
	uint8_t mask = (uint8_t)(0xff00u >> (bits % 8));

	if (values->family != (term->mechanism == SPF_MECHANISM_IP4 ? AF_INET : AF_INET6))
		return false;
	return memcmp(values->address, term->network, bits / 8) == 0 &&
	    ((values->address[bits / 8 % 16] ^ term->network[bits / 8 % 16]) & mask) == 0;
}

static void
write_asking_term(struct library *library, const struct spf_term *term, const char *domain, struct buffer *out)
{
	static const struct { const char *word; enum target_kind kind; } asking[SPF_MECHANISM_COUNT] = {
		[SPF_MECHANISM_INCLUDE] = { "include", TARGET_RECORD },
		[SPF_MECHANISM_A] = { "a", TARGET_A },
		[SPF_MECHANISM_MX] = { "mx", TARGET_MX },
		[SPF_MECHANISM_PTR] = { "exists", TARGET_PTR },
		[SPF_MECHANISM_EXISTS] = { "exists", TARGET_EXISTS },
	};
	size_t number = add_target(library, asking[term->mechanism].kind, term->domain, domain);
	struct target *target = &library->targets[number];

	buffer_printf(out, " %c%s:" MADE_UP_NAME, term->qualifier, asking[term->mechanism].word, number);
	if (term->mechanism != SPF_MECHANISM_A && term->mechanism != SPF_MECHANISM_MX)
		return;
	/* libspf2 refuses a length of 0. */
	target->matches_any = (library->evaluation->values.family == AF_INET ? term->prefix4 : term->prefix6) == 0;
	if (term->prefix4 > 0)
		buffer_printf(out, "/%u", term->prefix4);
	if (term->prefix6 > 0)
		buffer_printf(out, "//%u", term->prefix6);
}

/* Writes the terms as far as they can be reached. Whether one of them is an "all". */
static bool
write_terms(struct library *library, const struct spf_record *record, const char *domain, struct buffer *out)
{
	unsigned asking = 0;
	size_t i;

	for (i = 0; i < record->count && asking < TERMS_WRITTEN_MAX; i++) {
		const struct spf_term *term = &record->terms[i];

		switch (term->mechanism) {
		case SPF_MECHANISM_IP4:
		case SPF_MECHANISM_IP6:
			if (!is_in_network(&library->evaluation->values, term))
				break;
			/* FALLTHROUGH */
		case SPF_MECHANISM_ALL:
			buffer_printf(out, " %call", term->qualifier);
			return true;
		default:
			write_asking_term(library, term, domain, out);
			asking++;
		}
	}
	return asking == TERMS_WRITTEN_MAX;
}

static bool
has_all(const struct spf_record *record)
{
	size_t i;

	for (i = 0; i < record->count; i++)
		if (record->terms[i].mechanism == SPF_MECHANISM_ALL)
			return true;
	return false;
}

static void
write_record(struct library *library, const struct spf_record *record, const char *domain, struct buffer *out)
{
	buffer_append_string(out, "v=spf1");
	if (!write_terms(library, record, domain, out) && record->redirect.length > 0 && !has_all(record))
		buffer_printf(out, " redirect=" MADE_UP_NAME,
		    add_target(library, TARGET_RECORD, record->redirect, domain));
	if (record->explanation.length > 0)
		buffer_printf(out, " exp=" MADE_UP_NAME,
		    add_target(library, TARGET_EXPLANATION, record->explanation, domain));
}

/* Parses the record of a domain and has libspf2 compile what we made of it. NULL: the evaluation has ended. */
static SPF_record_t *
compile(struct library *library, SPF_response_t *response, const char *domain, struct spf_text text)
{
	struct buffer written = BUFFER_INITIALIZER(0);
	char problem[SPF_PROBLEM_SIZE];
	SPF_record_t *compiled = NULL;
	struct spf_record record;
	SPF_errcode_t error;

	if (!spf_record_parse(&record, text, problem)) {
		spf_end(library->evaluation, SPF_VERDICT_PERMERROR, "the record of %s has a %s", domain, problem);
		return NULL;
	}
	library->domains = memory_resize(library->domains, library->domain_count + 1, sizeof(*library->domains));
	library->domains[library->domain_count] = memory_copy_string(domain);
	write_record(library, &record, library->domains[library->domain_count++], &written);
	error = SPF_record_compile(library->server, response, &compiled, buffer_text(&written));
	if (error != SPF_E_SUCCESS) {
		spf_end(library->evaluation, SPF_VERDICT_PERMERROR, "libspf2 on the record of %s: %s", domain,
		    SPF_strerror(error));
		if (compiled != NULL)
			SPF_record_free(compiled);
		compiled = NULL;
	}
	buffer_free(&written);
	spf_record_free(&record);
	return compiled;
}

/* ---- our DNS layer below libspf2 -------------------------------------------------------------- */

static SPF_dns_rr_t *
new_answer(SPF_dns_server_t *layer, const char *name, ns_type type, SPF_dns_stat_t outcome)
{
	SPF_dns_rr_t *answer = SPF_dns_rr_new_init(layer, name, type, 0, outcome);

	if (answer == NULL)
		abort();
	return answer;
}

static void
add_octets(SPF_dns_rr_t *answer, const void *octets, size_t length)
{
	if (SPF_dns_rr_buf_realloc(answer, answer->num_rr, length) != SPF_E_SUCCESS)
		abort();
	memcpy(answer->rr[answer->num_rr], octets, length);
	answer->num_rr++;
	answer->herrno = NETDB_SUCCESS;
}

/* The addresses of a name as libspf2's answer; of any of them the client's own stands for all when any matches. */
static void
add_addresses(struct library *library, SPF_dns_rr_t *answer, enum dns_kind kind, const char *name, struct target *target)
{
	struct spf_evaluation *evaluation = library->evaluation;
	const struct spf_known *known = target->kind == TARGET_HOST ? spf_ask(evaluation, kind, name) :
	    spf_ask_made(evaluation, kind, name);
	struct target *counted = target->kind == TARGET_HOST ? &library->targets[target->of] : target;
	size_t size = kind == DNS_A ? 4 : 16, i;
	struct spf_known_record record;
	struct wire_reader reader;

	if (known == NULL)
		return;
	if (known->count == 0)
		spf_count_void(evaluation, &counted->place);
	wire_reader_init(&reader, known->records, known->length);
	for (i = 0; i < known->count && spf_known_next(known, &reader, &record); i++)
		add_octets(answer, target->matches_any ? evaluation->values.address : record.address, size);
}

/* A host of an mx, under a made-up name. */
static void
add_host(struct library *library, SPF_dns_rr_t *answer, const char *name, size_t of)
{
	size_t number = add_target(library, TARGET_HOST, (struct spf_text){ NULL, 0 }, NULL);
	char host[MADE_UP_SIZE];

	snprintf(library->targets[number].host, SPF_NAME_SIZE, "%s", name);
	library->targets[number].of = of;
	library->targets[number].matches_any = library->targets[of].matches_any;
	snprintf(host, sizeof(host), MADE_UP_NAME, number);
	add_octets(answer, host, strlen(host) + 1);
}

/* The hosts of an mx. All of their addresses are wanted at once; libspf2 looks at those last that the DNS does not answer about, so that
 * they are an error only when no other matches. */
static void
add_hosts(struct library *library, SPF_dns_rr_t *answer, const char *name, size_t of)
{
	struct spf_evaluation *evaluation = library->evaluation;
	const struct spf_known *known = spf_ask_made(evaluation, DNS_MX, name);
	const struct spf_known *addresses;
	const char *silent[HOSTS_MAX];
	struct spf_known_record record;
	struct wire_reader reader;
	size_t i, silent_count = 0;

	if (known == NULL)
		return;
	if (known->count == 0)
		spf_count_void(evaluation, &library->targets[of].place);
	if (known->count > HOSTS_MAX) {
		spf_end(evaluation, SPF_VERDICT_PERMERROR, "%s has more than %d MX records", name, HOSTS_MAX);
		return;
	}
	wire_reader_init(&reader, known->records, known->length);
	for (i = 0; i < known->count && spf_known_next(known, &reader, &record); i++) {
		if (record.name[0] == '\0')
			continue;
		addresses = spf_look(evaluation, evaluation->values.family == AF_INET ? DNS_A : DNS_AAAA, record.name);
		if (addresses != NULL && addresses->outcome == DNS_NO_ANSWER)
			silent[silent_count++] = record.name;
		else
			add_host(library, answer, record.name, of);
	}
	for (i = 0; i < silent_count; i++)
		add_host(library, answer, silent[i], of);
}

static void
answer_target(struct library *library, SPF_dns_rr_t *answer, size_t number)
{
	struct spf_evaluation *evaluation = library->evaluation;
	struct target *target = &library->targets[number];
	enum dns_kind kind = evaluation->values.family == AF_INET ? DNS_A : DNS_AAAA;
	char name[SPF_NAME_SIZE];

	if (target->kind == TARGET_HOST) {
		add_addresses(library, answer, kind, target->host, target);
		return;
	}
	if (!spf_count_term(evaluation) || !spf_place_name(evaluation, &target->place, name))
		return;
	if (target->kind == TARGET_MX)
		add_hosts(library, answer, name, number);
	else if (target->kind == TARGET_PTR && spf_client_is_in(evaluation, name, &target->place))
		add_octets(answer, &(struct in_addr){ htonl(INADDR_LOOPBACK) }, sizeof(struct in_addr));
	else if (target->kind == TARGET_A || target->kind == TARGET_EXISTS)
		add_addresses(library, answer, target->kind == TARGET_EXISTS ? DNS_A : kind, name, target);
}

/* Once the evaluation has ended libspf2 is told of a failing DNS, which makes it stop. */
static SPF_dns_rr_t *
look_up(SPF_dns_server_t *layer, const char *name, ns_type type, int should_cache UNUSED)
{
	struct library *library = layer->hook;
	SPF_dns_rr_t *answer = new_answer(layer, name, type, HOST_NOT_FOUND);
	struct target *target = find_target(library, name);

	if (target == NULL)
		spf_end(library->evaluation, SPF_VERDICT_PERMERROR, "libspf2 asks for a name that is not in the record");
	else if (!library->evaluation->ended)
		answer_target(library, answer, (size_t)(target - library->targets));
	if (library->evaluation->ended) {
		answer->num_rr = 0;
		answer->herrno = TRY_AGAIN;
	}
	return answer;
}

/* The record behind an include or a redirect: section 5.2 and 6.1 make an error of "none". */
static SPF_errcode_t
get_record(SPF_server_t *server, SPF_request_t *request, SPF_response_t *response, SPF_record_t **record_out)
{
	struct library *library = server->resolver->hook;
	struct spf_evaluation *evaluation = library->evaluation;
	struct target *target = find_target(library, request->cur_dom);
	char name[SPF_NAME_SIZE];
	struct spf_text text;

	*record_out = NULL;
	if (target == NULL || target->kind != TARGET_RECORD)
		spf_end(evaluation, SPF_VERDICT_PERMERROR, "libspf2 asks for a record that is not in the record");
	else if (!spf_count_term(evaluation))
		return SPF_E_DNS_ERROR;
	else if (!spf_place_name(evaluation, &target->place, name))
		spf_end(evaluation, SPF_VERDICT_PERMERROR, "an include or redirect of %s leads to no name", target->place.domain);
	else if (spf_find_record(evaluation, name, &text))
		*record_out = compile(library, response, name, text);
	else
		spf_end(evaluation, SPF_VERDICT_PERMERROR, "%s, included or redirected to, has no SPF record", name);
	return *record_out == NULL ? SPF_E_DNS_ERROR : SPF_E_SUCCESS;
}

/* libspf2 has found the exp= that counts: its made-up name becomes the explanation, for us to find. */
static SPF_errcode_t
get_explanation(SPF_server_t *server UNUSED, const char *domain UNUSED, char **text UNUSED, size_t *size UNUSED)
{
	return SPF_E_SUCCESS;
}

/* ---- judging ---------------------------------------------------------------------------------- */

/* libspf2 prints and formats what it knows of the session: it gets nothing of a stranger's. */
static SPF_request_t *
new_request(struct library *library)
{
	const struct spf_macro_values *values = &library->evaluation->values;
	SPF_request_t *request = SPF_request_new(library->server);
	struct in6_addr address6;
	struct in_addr address4;

	if (request == NULL || SPF_request_set_helo_dom(request, "helo.x") != SPF_E_SUCCESS)
		abort();
	memcpy(&address4, values->address, sizeof(address4));
	memcpy(&address6, values->address, sizeof(address6));
	if (values->family == AF_INET)
		SPF_request_set_ipv4(request, address4);
	else
		SPF_request_set_ipv6(request, address6);
	return request;
}

static enum spf_verdict
verdict_of(struct spf_evaluation *evaluation, SPF_response_t *response)
{
	switch (SPF_response_result(response)) {
	case SPF_RESULT_PASS:
		return SPF_VERDICT_PASS;
	case SPF_RESULT_FAIL:
		return SPF_VERDICT_FAIL;
	case SPF_RESULT_SOFTFAIL:
		return SPF_VERDICT_SOFTFAIL;
	case SPF_RESULT_NEUTRAL:
		return SPF_VERDICT_NEUTRAL;
	default:
		spf_end(evaluation, SPF_VERDICT_PERMERROR, "libspf2: %s", SPF_strerror(SPF_response_errcode(response)));
		return SPF_VERDICT_PERMERROR;
	}
}

/* The place of the explanation that libspf2 chose, and the domain of its record. */
static void
find_explanation(struct library *library, SPF_response_t *response, struct spf_place *explanation, char **domain_out)
{
	struct target *target = find_target(library, SPF_response_get_explanation(response));

	if (target == NULL || target->kind != TARGET_EXPLANATION)
		return;
	*domain_out = memory_copy_string(target->place.domain);
	explanation->spec = target->place.spec;
	explanation->domain = *domain_out;
}

static void
release(struct library *library)
{
	size_t i;

	for (i = 0; i < library->domain_count; i++)
		free(library->domains[i]);
	free(library->domains);
	free(library->targets);
	SPF_server_free(library->server);
}

/* A server over our layer, with limits and a default explanation that never come into play. */
static SPF_server_t *
new_server(SPF_dns_server_t *layer)
{
	SPF_response_t *ignored = NULL;
	SPF_server_t *server = SPF_server_new_dns(layer, 0);

	if (server == NULL || SPF_server_set_rec_dom(server, "receiver.x") != SPF_E_SUCCESS ||
	    SPF_server_set_explanation(server, "none", &ignored) != SPF_E_SUCCESS)
		abort();
	if (ignored != NULL)
		SPF_response_free(ignored);
	SPF_server_set_max_dns_mech(server, ENOUGH);
	SPF_server_set_max_dns_mx(server, ENOUGH);
	SPF_server_set_max_dns_ptr(server, ENOUGH);
	return server;
}

enum spf_verdict
spf_library_judge(struct spf_evaluation *evaluation, const char *domain, struct spf_text record,
    struct spf_place *explanation, char **domain_out)
{
	struct library library = { .evaluation = evaluation };
	SPF_dns_server_t layer = { .lookup = look_up, .get_spf = get_record, .get_exp = get_explanation,
		.name = "known answers", .hook = &library };
	enum spf_verdict verdict = SPF_VERDICT_PERMERROR;
	SPF_request_t *request;
	SPF_response_t *response;
	SPF_record_t *compiled;

	memset(explanation, 0, sizeof(*explanation));
	*domain_out = NULL;
	library.server = new_server(&layer);
	request = new_request(&library);
	response = SPF_response_new(request);
	if (response == NULL)
		abort();
	compiled = compile(&library, response, domain, record);
	if (compiled != NULL) {
		/* Not SPF_request_query_mailfrom(): it lets every client on loopback pass. */
		request->cur_dom = "identity.x";
		response->spf_record_exp = compiled;
		SPF_record_interpret(compiled, request, response, 0);
		if (!evaluation->ended)
			verdict = verdict_of(evaluation, response);
		if (verdict == SPF_VERDICT_FAIL)
			find_explanation(&library, response, explanation, domain_out);
		SPF_record_free(compiled);
	}
	SPF_response_free(response);
	SPF_request_free(request);
	release(&library);
	return verdict;
}
