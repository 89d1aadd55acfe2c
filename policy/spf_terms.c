/* spf_terms - see spf_terms.h */
#include "policy/spf_terms.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define TERMS_MAX 10
#define VOIDS_MAX 2
#define POINTERS_MAX 10

void
spf_end(struct spf_evaluation *evaluation, enum spf_verdict verdict, const char *format, ...)
{
	struct spf_reply *reply = evaluation->reply;
	va_list arguments;
	char *next;

	if (evaluation->ended)
		return;
	evaluation->ended = true;
	reply->verdict = verdict;
	va_start(arguments, format);
	vsnprintf(reply->text, sizeof(reply->text), format, arguments);
	va_end(arguments);
	for (next = reply->text; *next != '\0'; next++)
		if (*next < ' ' || *next > '~')
			*next = '?';
}

/* Once, though two hosts of an mx may be the same. */
static void
want(struct spf_reply *reply, enum dns_kind kind, const char *name)
{
	unsigned i;

	for (i = 0; i < reply->wanted_count; i++)
		if (reply->wanted[i].kind == kind && strcasecmp(reply->wanted[i].name, name) == 0)
			return;
	if (i == SPF_QUESTIONS_MAX)
		return;
	reply->wanted[i].kind = kind;
	snprintf(reply->wanted[i].name, sizeof(reply->wanted[i].name), "%s", name);
	reply->wanted_count++;
}

const struct spf_known *
spf_look(struct spf_evaluation *evaluation, enum dns_kind kind, const char *name)
{
	const struct spf_known *known = spf_answers_find(&evaluation->request->answers, kind, name);

	if (known == NULL) {
		evaluation->ended = true;
		want(evaluation->reply, kind, name);
	}
	return known;
}

const struct spf_known *
spf_ask(struct spf_evaluation *evaluation, enum dns_kind kind, const char *name)
{
	const struct spf_known *known = spf_look(evaluation, kind, name);

	if (known == NULL || known->outcome != DNS_NO_ANSWER)
		return known;
	spf_end(evaluation, SPF_VERDICT_TEMPERROR, "the DNS does not answer about %s", name);
	return NULL;
}

const struct spf_known *
spf_ask_made(struct spf_evaluation *evaluation, enum dns_kind kind, const char *name)
{
	char escaped[SPF_NAME_SIZE];

	spf_name_escape(name, escaped);
	return spf_ask(evaluation, kind, escaped);
}

bool
spf_count_term(struct spf_evaluation *evaluation)
{
	if (evaluation->ended)
		return false;
	if (++evaluation->terms > TERMS_MAX)
		spf_end(evaluation, SPF_VERDICT_PERMERROR, "more than %d terms ask the DNS", TERMS_MAX);
	return !evaluation->ended;
}

void
spf_count_void(struct spf_evaluation *evaluation, struct spf_place *place)
{
	if (!place->was_void && ++evaluation->voids > VOIDS_MAX)
		spf_end(evaluation, SPF_VERDICT_PERMERROR, "more than %d terms ask for what does not exist", VOIDS_MAX);
	place->was_void = true;
}

/* ---- the client's own names ------------------------------------------------------------------- */

static bool
is_at_or_below(const char *name, const char *domain)
{
	size_t length = strlen(name), domain_length = strlen(domain);

	if (length < domain_length || strcasecmp(name + length - domain_length, domain) != 0)
		return false;
	return length == domain_length || name[length - domain_length - 1] == '.';
}

/* The next of the first ten names that leads back to the client, or NULL. */
static const char *
next_confirmed(const struct spf_known *known, struct wire_reader *reader, unsigned *seen)
{
	struct spf_known_record record;

	while (*seen < POINTERS_MAX && *seen < known->count) {
		(*seen)++;
		if (!spf_known_next(known, reader, &record))
			return NULL;
		if (record.is_confirmed)
			return record.name;
	}
	return NULL;
}

bool
spf_client_is_in(struct spf_evaluation *evaluation, const char *target, struct spf_place *place)
{
	const struct spf_known *known = spf_look(evaluation, DNS_PTR, evaluation->client);
	struct wire_reader reader;
	const char *name;
	unsigned seen = 0;

	if (known == NULL)
		return false;
	if (known->outcome == DNS_NO_NAME || known->outcome == DNS_NO_DATA)
		spf_count_void(evaluation, place);
	wire_reader_init(&reader, known->records, known->length);
	while ((name = next_confirmed(known, &reader, &seen)) != NULL)
		if (is_at_or_below(name, target))
			return !evaluation->ended;
	return false;
}

/* What %{p} stands for (section 7.3): the domain itself before a name below it before any other. NULL: it is being asked. */
static const char *
validated_name(struct spf_evaluation *evaluation, const char *domain)
{
	const struct spf_known *known = spf_look(evaluation, DNS_PTR, evaluation->client);
	const char *name, *best = "unknown";
	struct wire_reader reader;
	unsigned seen = 0, rank, best_rank = 0;

	if (known == NULL)
		return NULL;
	wire_reader_init(&reader, known->records, known->length);
	while ((name = next_confirmed(known, &reader, &seen)) != NULL) {
		rank = strcasecmp(name, domain) == 0 ? 3 : is_at_or_below(name, domain) ? 2 : 1;
		if (rank > best_rank) {
			best = name;
			best_rank = rank;
		}
	}
	return best;
}

/* ---- names ------------------------------------------------------------------------------------ */

bool
spf_expand(struct spf_evaluation *evaluation, struct spf_text text, const char *domain, struct buffer *out)
{
	struct spf_macro_values values = evaluation->values;

	values.domain = domain;
	values.validated = "unknown";
	if (spf_macro_uses(text, 'p') && (values.validated = validated_name(evaluation, domain)) == NULL)
		return false;
	return spf_macro_expand(text, &values, out);
}

bool
spf_place_name(struct spf_evaluation *evaluation, const struct spf_place *place, char name[static SPF_NAME_SIZE])
{
	struct buffer expansion = BUFFER_INITIALIZER(0);
	bool is_name;

	if (place->spec.length == 0)
		return spf_name_make((struct spf_text){ place->domain, strlen(place->domain) }, name);
	is_name = spf_expand(evaluation, place->spec, place->domain, &expansion) &&
	    spf_name_make((struct spf_text){ buffer_text(&expansion), expansion.length }, name);
	buffer_free(&expansion);
	return is_name;
}

/* ---- records ---------------------------------------------------------------------------------- */

bool
spf_find_record(struct spf_evaluation *evaluation, const char *name, struct spf_text *record_out)
{
	const struct spf_known *known = spf_ask_made(evaluation, DNS_TXT, name);
	struct spf_known_record record;
	struct wire_reader reader;
	size_t found = 0, i;

	if (known == NULL)
		return false;
	wire_reader_init(&reader, known->records, known->length);
	for (i = 0; i < known->count && spf_known_next(known, &reader, &record); i++) {
		if (spf_record_is_one(record.text)) {
			*record_out = record.text;
			found++;
		}
	}
	if (found > 1)
		spf_end(evaluation, SPF_VERDICT_PERMERROR, "%s has %zu SPF records", name, found);
	return found == 1;
}
