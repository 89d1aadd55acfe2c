/* answer - see answer.h */
#include "resolver/answer.h"

#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

/* What is asked for an alias is an address: its answer holds the chain, whatever stands at the end. */
static const ldns_rr_type type_numbers[DNS_KIND_COUNT] = {
	[DNS_PTR] = LDNS_RR_TYPE_PTR,
	[DNS_A] = LDNS_RR_TYPE_A,
	[DNS_AAAA] = LDNS_RR_TYPE_AAAA,
	[DNS_MX] = LDNS_RR_TYPE_MX,
	[DNS_TXT] = LDNS_RR_TYPE_TXT,
	[DNS_TLSA] = LDNS_RR_TYPE_TLSA,
	[DNS_CNAME] = LDNS_RR_TYPE_A,
};

void
answer_init(struct answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	buffer_init(&answer->records, ANSWER_OCTETS_MAX);
	answer->outcome = DNS_NO_ANSWER;
}

void
answer_free(struct answer *answer)
{
	buffer_free(&answer->records);
	answer_init(answer);
}

int
answer_type_number(enum dns_kind kind)
{
	return (int)type_numbers[kind];
}

void
answer_set_none(struct answer *answer, const char *text)
{
	answer->outcome = DNS_NO_ANSWER;
	snprintf(answer->text, sizeof(answer->text), "%s", text);
}

/* ---- records ---------------------------------------------------------------------------------- */

/* A host name as PTR records hold it; what it lacks of letters, digits, '-', '_' and dots makes it none. */
static bool
name_is_sane(const char *name)
{
	return name[0] != '\0' &&
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == strlen(name);
}

/*
 * The root is "". What is escaped may be longer than names are; its first escape stands before the cut, so that it
 * never passes for another name.
 */
static bool
name_text(const ldns_rdf *rdf, char text[static ANSWER_NAME_MAX + 1])
{
	char *name = ldns_rdf2str(rdf);
	size_t length = name == NULL ? 0 : strlen(name);
	bool is_name = length > 0;

	if (is_name && name[length - 1] == '.')
		name[length - 1] = '\0';
	if (is_name)
		snprintf(text, ANSWER_NAME_MAX + 1, "%s", name);
	free(name);
	return is_name;
}

static bool
put_pointer(struct buffer *records, const ldns_rr *record)
{
	char name[ANSWER_NAME_MAX + 1];

	return name_text(ldns_rr_rdf(record, 0), name) && name_is_sane(name) && wire_put_string(records, name);
}

static bool
put_address(struct buffer *records, const ldns_rr *record, size_t size)
{
	const ldns_rdf *rdf = ldns_rr_rdf(record, 0);

	return ldns_rdf_size(rdf) == size && wire_put_bytes(records, ldns_rdf_data(rdf), size);
}

static bool
put_mail_exchange(struct buffer *records, const ldns_rr *record)
{
	char name[ANSWER_NAME_MAX + 1];

	return ldns_rr_rd_count(record) == 2 && ldns_rdf_size(ldns_rr_rdf(record, 0)) == 2 &&
	    name_text(ldns_rr_rdf(record, 1), name) &&
	    wire_put_u16(records, ldns_rdf2native_int16(ldns_rr_rdf(record, 0))) && wire_put_string(records, name);
}

/* Each string of the record has its length before it. */
static bool
put_text(struct buffer *records, const ldns_rr *record)
{
	struct buffer joined = BUFFER_INITIALIZER(IPC_DATA_MAX / 2);
	bool fits = true;
	size_t i;

	for (i = 0; i < ldns_rr_rd_count(record); i++) {
		const ldns_rdf *rdf = ldns_rr_rdf(record, i);

		if (ldns_rdf_size(rdf) > 1)
			fits &= buffer_append(&joined, ldns_rdf_data(rdf) + 1, ldns_rdf_size(rdf) - 1);
	}
	fits = fits && wire_put_bytes(records, buffer_text(&joined), joined.length);
	buffer_free(&joined);
	return fits;
}

static bool
put_association(struct buffer *records, const ldns_rr *record)
{
	size_t i;

	if (ldns_rr_rd_count(record) != 4)
		return false;
	for (i = 0; i < 3; i++)
		if (ldns_rdf_size(ldns_rr_rdf(record, i)) != 1)
			return false;
	for (i = 0; i < 3; i++)
		wire_put_u8(records, ldns_rdf2native_int8(ldns_rr_rdf(record, i)));
	return wire_put_bytes(records, ldns_rdf_data(ldns_rr_rdf(record, 3)), ldns_rdf_size(ldns_rr_rdf(record, 3)));
}

static bool
put_record(struct buffer *records, enum dns_kind kind, const ldns_rr *record)
{
	switch (kind) {
	case DNS_A:
		return put_address(records, record, 4);
	case DNS_AAAA:
		return put_address(records, record, 16);
	case DNS_PTR:
		return put_pointer(records, record);
	case DNS_MX:
		return put_mail_exchange(records, record);
	case DNS_TXT:
		return put_text(records, record);
	case DNS_TLSA:
		return put_association(records, record);
	default:
		return false;
	}
}

/* A record that does not fit, or is not what it should be, is left out whole. */
static void
take_record(struct answer *answer, enum dns_kind kind, const ldns_rr *record)
{
	size_t length = answer->records.length;

	if (ldns_rr_rdf(record, 0) == NULL ||
	    answer->count == (kind == DNS_MX ? ANSWER_MX_RECORDS_MAX : ANSWER_RECORDS_MAX))
		return;
	if (put_record(&answer->records, kind, record))
		answer->count++;
	else
		answer->records.length = length;
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

/* The end of the chain of aliases that begins with owner, or NULL when the chain is too long. Borrowed. */
static const ldns_rdf *
follow_aliases(struct answer *answer, const ldns_rr_list *records, const ldns_rdf *owner, unsigned *aliases_out)
{
	const ldns_rdf *target;

	*aliases_out = 0;
	while ((target = find_alias(answer, records, owner)) != NULL) {
		if ((*aliases_out)++ == ANSWER_ALIASES_MAX)
			return NULL;
		owner = target;
	}
	return owner;
}

/* How many there were, taken or not. */
static size_t
take_records(struct answer *answer, enum dns_kind kind, const ldns_rr_list *records, const ldns_rdf *owner)
{
	size_t seen = 0, i;

	for (i = 0; i < ldns_rr_list_rr_count(records); i++) {
		const ldns_rr *record = ldns_rr_list_rr(records, i);

		if (ldns_rr_get_type(record) != type_numbers[kind] ||
		    ldns_dname_compare(ldns_rr_owner(record), owner) != 0)
			continue;
		take_record(answer, kind, record);
		lower_ttl(answer, record);
		seen++;
	}
	return seen;
}

/* An alias is told even when there is nothing at its end. */
static void
take_alias(struct answer *answer, const ldns_rdf *last)
{
	char name[ANSWER_NAME_MAX + 1];

	if (name_text(last, name) && wire_put_string(&answer->records, name))
		answer->count = 1;
}

/* Records that are all malformed are no proof that there are none; names that are all insane are. */
static void
read_chain_end(struct answer *answer, enum dns_kind kind, const ldns_rr_list *records, const ldns_rdf *last,
    bool is_alias, bool name_exists)
{
	size_t seen = 0;

	if (kind == DNS_CNAME && is_alias)
		take_alias(answer, last);
	else if (kind != DNS_CNAME && name_exists)
		seen = take_records(answer, kind, records, last);
	if (answer->count > 0)
		answer->outcome = DNS_FOUND;
	else if (seen > 0 && kind != DNS_PTR)
		answer_set_none(answer, "the records are malformed");
	else
		answer->outcome = name_exists ? DNS_NO_DATA : DNS_NO_NAME;
}

static void
read_records(struct answer *answer, enum dns_kind kind, const char *name, const ldns_pkt *packet, bool name_exists)
{
	const ldns_rr_list *records = ldns_pkt_answer(packet);
	ldns_rdf *owner = ldns_dname_new_frm_str(name);
	const ldns_rdf *last = NULL;
	unsigned aliases;

	answer->ttl = UINT32_MAX;
	if (owner != NULL)
		last = follow_aliases(answer, records, owner, &aliases);
	if (last == NULL)
		answer_set_none(answer, "the chain of aliases is too long");
	else
		read_chain_end(answer, kind, records, last, aliases > 0, name_exists);
	if (answer->ttl == UINT32_MAX)
		answer->ttl = 0;
	ldns_rdf_deep_free(owner);
}

void
answer_read(struct answer *answer, enum dns_kind kind, const char *name, const void *packet, size_t length)
{
	ldns_lookup_table *code;
	ldns_pkt *parsed = NULL;

	if (ldns_wire2pkt(&parsed, packet, length) != LDNS_STATUS_OK) {
		answer_set_none(answer, "the answer is malformed");
		return;
	}
	if (ldns_pkt_tc(parsed)) {
		/* It may have more than it shows, and seem to have nothing. */
		answer_set_none(answer, "the answer is too large");
		ldns_pkt_free(parsed);
		return;
	}
	switch (ldns_pkt_get_rcode(parsed)) {
	case LDNS_RCODE_NOERROR:
		read_records(answer, kind, name, parsed, true);
		break;
	case LDNS_RCODE_NXDOMAIN:
		read_records(answer, kind, name, parsed, false);
		break;
	default:
		code = ldns_lookup_by_id(ldns_rcodes, (int)ldns_pkt_get_rcode(parsed));
		answer_set_none(answer, code == NULL ? "an unknown response code" : code->name);
	}
	ldns_pkt_free(parsed);
}

/* ---- making it fit ---------------------------------------------------------------------------- */

static void
skip_record(struct wire_reader *reader, enum dns_kind kind)
{
	if (kind == DNS_MX)
		wire_get_u16(reader);
	if (kind == DNS_TLSA) {
		wire_get_u8(reader);
		wire_get_u8(reader);
		wire_get_u8(reader);
	}
	if (kind == DNS_MX || kind == DNS_PTR || kind == DNS_CNAME)
		wire_get_string(reader, ANSWER_NAME_MAX);
	else
		wire_get_bytes(reader, UINT16_MAX);
	if (kind == DNS_PTR)
		wire_get_u8(reader);
}

void
answer_limit(struct dns_answer *answer, enum dns_kind kind, size_t octets)
{
	const uint8_t *first = answer->records.data;
	struct wire_reader reader;
	size_t length = 0;
	uint16_t count;

	if (answer->records.length <= octets)
		return;
	wire_reader_init(&reader, first, answer->records.length);
	for (count = 0; count < answer->count; count++) {
		skip_record(&reader, kind);
		if (reader.failed || (size_t)(reader.next - first) > octets)
			break;
		length = (size_t)(reader.next - first);
	}
	answer->count = count;
	answer->records.length = length;
}
