/* spf_answers - see spf_answers.h */
#include "policy/spf_answers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/memory.h"

void
spf_answers_free(struct spf_answers *answers)
{
	size_t i;

	for (i = 0; i < answers->count; i++)
		free(answers->known[i].records);
	free(answers->known);
	memset(answers, 0, sizeof(*answers));
}

static bool
add(struct spf_answers *answers, const struct spf_known *known, struct bytes records)
{
	size_t octets = sizeof(*known) + records.length;
	struct spf_known *added;

	if (answers->count == SPF_ANSWERS_MAX || octets > SPF_ANSWERS_OCTETS_MAX - answers->octets)
		return false;
	answers->known = memory_resize(answers->known, answers->count + 1, sizeof(*answers->known));
	added = &answers->known[answers->count++];
	*added = *known;
	added->records = memory_copy(records.data, records.length);
	added->length = records.length;
	answers->octets += octets;
	return true;
}

bool
spf_answers_add(struct spf_answers *answers, enum dns_kind kind, const char *name, const struct dns_answer *answer)
{
	struct spf_known known = { .kind = kind, .outcome = DNS_NO_ANSWER };
	struct bytes none = { "", 0 };

	/* A bogus answer is none (RFC 4035 section 5.5), whatever it holds. */
	if (answer->outcome <= DNS_NO_ANSWER && answer->security != DNS_BOGUS)
		known.outcome = (enum dns_outcome)answer->outcome;
	known.count = known.outcome == DNS_FOUND ? answer->count : 0;
	snprintf(known.name, sizeof(known.name), "%s", name);
	return add(answers, &known, known.outcome == DNS_FOUND ? answer->records : none);
}

const struct spf_known *
spf_answers_find(const struct spf_answers *answers, enum dns_kind kind, const char *name)
{
	size_t i;

	for (i = 0; i < answers->count; i++)
		if (answers->known[i].kind == kind && strcasecmp(answers->known[i].name, name) == 0)
			return &answers->known[i];
	return NULL;
}

void
spf_answers_put(struct buffer *out, const struct spf_answers *answers)
{
	size_t i;

	wire_put_u16(out, (uint16_t)answers->count);
	for (i = 0; i < answers->count; i++) {
		const struct spf_known *known = &answers->known[i];

		wire_put_u8(out, (uint8_t)known->kind);
		wire_put_u8(out, (uint8_t)known->outcome);
		wire_put_u16(out, (uint16_t)known->count);
		wire_put_string(out, known->name);
		wire_put_bytes(out, known->records, known->length);
	}
}

bool
spf_answers_get(struct wire_reader *in, struct spf_answers *answers)
{
	size_t count = wire_get_u16(in), i;

	for (i = 0; i < count && !in->failed; i++) {
		struct spf_known known = { .records = NULL };
		uint8_t kind = wire_get_u8(in), outcome = wire_get_u8(in);
		struct bytes records;

		known.count = wire_get_u16(in);
		snprintf(known.name, sizeof(known.name), "%s", wire_get_string(in, sizeof(known.name) - 1));
		records = wire_get_bytes(in, SPF_ANSWERS_OCTETS_MAX);
		if (in->failed || kind >= DNS_KIND_COUNT || outcome > DNS_NO_ANSWER)
			return false;
		known.kind = (enum dns_kind)kind;
		known.outcome = (enum dns_outcome)outcome;
		if (!add(answers, &known, records))
			return false;
	}
	return !in->failed;
}

bool
spf_known_next(const struct spf_known *known, struct wire_reader *reader, struct spf_known_record *record)
{
	struct bytes bytes;

	memset(record, 0, sizeof(*record));
	switch (known->kind) {
	case DNS_A:
	case DNS_AAAA:
		bytes = wire_get_bytes(reader, sizeof(record->address));
		if (bytes.length != (known->kind == DNS_A ? 4 : 16))
			return false;
		memcpy(record->address, bytes.data, bytes.length);
		break;
	case DNS_MX:
		wire_get_u16(reader);
		record->name = wire_get_string(reader, SPF_NAME_SIZE - 1);
		break;
	case DNS_PTR:
		record->name = wire_get_string(reader, SPF_NAME_SIZE - 1);
		record->is_confirmed = wire_get_u8(reader) != 0;
		break;
	case DNS_TXT:
		bytes = wire_get_bytes(reader, SPF_ANSWERS_OCTETS_MAX);
		record->text = (struct spf_text){ bytes.data, bytes.length };
		break;
	default:
		return false;
	}
	return !reader->failed;
}
