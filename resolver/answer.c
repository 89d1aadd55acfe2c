/* answer - see answer.h */
#include "resolver/answer.h"

#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

static const ldns_rr_type type_numbers[ANSWER_TYPE_COUNT] = { LDNS_RR_TYPE_A, LDNS_RR_TYPE_AAAA, LDNS_RR_TYPE_PTR };

void
answer_init(struct answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	buffer_init(&answer->records, IPC_DATA_MAX / 2);
	answer->outcome = DNS_NO_ANSWER;
}

void
answer_free(struct answer *answer)
{
	buffer_free(&answer->records);
	answer_init(answer);
}

int
answer_type_number(enum answer_type type)
{
	return (int)type_numbers[type];
}

void
answer_set_none(struct answer *answer, const char *text)
{
	answer->outcome = DNS_NO_ANSWER;
	snprintf(answer->text, sizeof(answer->text), "%s", text);
}

/* A host name as PTR records hold it; what it lacks of letters, digits, '-', '_' and dots makes it none. */
static bool
name_is_sane(const char *name, size_t length)
{
	return length > 0 && length <= 254 &&
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == length;
}

static void
take_name(struct answer *answer, const ldns_rdf *rdf)
{
	char *name = ldns_rdf2str(rdf);
	size_t length = name == NULL ? 0 : strlen(name);

	if (length > 1 && name[length - 1] == '.')
		name[--length] = '\0';
	if (name_is_sane(name == NULL ? "" : name, length) && wire_put_string(&answer->records, name))
		answer->count++;
	free(name);
}

static void
take_record(struct answer *answer, enum answer_type type, const ldns_rr *record)
{
	static const size_t sizes[] = { [ANSWER_A] = 4, [ANSWER_AAAA] = 16 };
	const ldns_rdf *rdf = ldns_rr_rdf(record, 0);

	if (rdf == NULL || answer->count == ANSWER_RECORDS_MAX)
		return;
	if (type == ANSWER_PTR)
		take_name(answer, rdf);
	else if (ldns_rdf_size(rdf) == sizes[type] &&
	    wire_put_bytes(&answer->records, ldns_rdf_data(rdf), ldns_rdf_size(rdf)))
		answer->count++;
}

static void
lower_ttl(struct answer *answer, const ldns_rr *record)
{
	if (ldns_rr_ttl(record) < answer->ttl)
		answer->ttl = ldns_rr_ttl(record);
}

/* The target of the alias that owner is, or NULL. Borrowed. */
static const ldns_rdf *
find_alias(struct answer *answer, const ldns_rr_list *records, const ldns_rdf *owner)
{
	size_t i;

	for (i = 0; i < ldns_rr_list_rr_count(records); i++) {
		const ldns_rr *record = ldns_rr_list_rr(records, i);

		if (ldns_rr_get_type(record) == LDNS_RR_TYPE_CNAME && ldns_rr_rdf(record, 0) != NULL &&
		    ldns_dname_compare(ldns_rr_owner(record), owner) == 0) {
			lower_ttl(answer, record);
			return ldns_rr_rdf(record, 0);
		}
	}
	return NULL;
}

/* Follows the aliases from owner on and takes the records at their end. False when the chain is too long. */
static bool
take_records(struct answer *answer, enum answer_type type, const ldns_rr_list *records, const ldns_rdf *owner)
{
	const ldns_rdf *target;
	unsigned aliases = 0;
	size_t i;

	while ((target = find_alias(answer, records, owner)) != NULL) {
		if (aliases++ == ANSWER_ALIASES_MAX)
			return false;
		owner = target;
	}
	for (i = 0; i < ldns_rr_list_rr_count(records); i++) {
		const ldns_rr *record = ldns_rr_list_rr(records, i);

		if (ldns_rr_get_type(record) != type_numbers[type] ||
		    ldns_dname_compare(ldns_rr_owner(record), owner) != 0)
			continue;
		take_record(answer, type, record);
		lower_ttl(answer, record);
	}
	return true;
}

static void
read_records(struct answer *answer, enum answer_type type, const char *name, const ldns_pkt *packet)
{
	ldns_rdf *owner = ldns_dname_new_frm_str(name);

	answer->ttl = UINT32_MAX;
	if (owner == NULL || !take_records(answer, type, ldns_pkt_answer(packet), owner))
		answer_set_none(answer, "the chain of aliases is too long");
	else
		answer->outcome = answer->count > 0 ? DNS_FOUND : DNS_NO_DATA;
	if (answer->ttl == UINT32_MAX)
		answer->ttl = 0;
	ldns_rdf_deep_free(owner);
}

void
answer_read(struct answer *answer, enum answer_type type, const char *name, const void *packet, size_t length)
{
	ldns_lookup_table *code;
	ldns_pkt *parsed = NULL;

	if (ldns_wire2pkt(&parsed, packet, length) != LDNS_STATUS_OK) {
		answer_set_none(answer, "the answer is malformed");
		return;
	}
	switch (ldns_pkt_get_rcode(parsed)) {
	case LDNS_RCODE_NOERROR:
		read_records(answer, type, name, parsed);
		break;
	case LDNS_RCODE_NXDOMAIN:
		answer->outcome = DNS_NO_NAME;
		break;
	default:
		code = ldns_lookup_by_id(ldns_rcodes, (int)ldns_pkt_get_rcode(parsed));
		answer_set_none(answer, code == NULL ? "an unknown response code" : code->name);
	}
	ldns_pkt_free(parsed);
}
