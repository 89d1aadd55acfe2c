/* trust_anchors - see trust_anchors.h */
#include "resolver/trust_anchors.h"

#include <errno.h>
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/memory.h"

#define ANCHORS_MAX 64

static void
take_record(struct trust_anchors *anchors, const ldns_rr *record)
{
	ldns_rr_type type = ldns_rr_get_type(record);
	char *text;

	if ((type != LDNS_RR_TYPE_DS && type != LDNS_RR_TYPE_DNSKEY) || anchors->count == ANCHORS_MAX)
		return;
	text = ldns_rr2str(record);
	if (text == NULL)
		return;
	text[strcspn(text, "\n;")] = '\0';
	anchors->records = memory_resize(anchors->records, anchors->count + 1, sizeof(*anchors->records));
	anchors->records[anchors->count++] = memory_copy_string(text);
	free(text);
}

/* The default TTL, the origin and the owner of the record before are what a zone file leaves out. */
static int
read_records(struct trust_anchors *anchors, FILE *file, struct error *error)
{
	ldns_rdf *origin = NULL, *previous = NULL;
	uint32_t ttl = 3600;
	ldns_status status = LDNS_STATUS_OK;
	int line = 0;

	while (status == LDNS_STATUS_OK && !feof(file)) {
		ldns_rr *record = NULL;

		status = ldns_rr_new_frm_fp_l(&record, file, &ttl, &origin, &previous, &line);
		if (status == LDNS_STATUS_OK)
			take_record(anchors, record);
		else if (status == LDNS_STATUS_SYNTAX_EMPTY || status == LDNS_STATUS_SYNTAX_TTL ||
		    status == LDNS_STATUS_SYNTAX_ORIGIN)
			status = LDNS_STATUS_OK;
		ldns_rr_free(record);
	}
	ldns_rdf_deep_free(origin);
	ldns_rdf_deep_free(previous);
	if (status != LDNS_STATUS_OK)
		return error_set(error, ERROR_INVALID, "line %d: %s", line, ldns_get_errorstr_by_id(status));
	if (anchors->count == 0)
		return error_set(error, ERROR_INVALID, "there is no DNSKEY and no DS record");
	return 0;
}

int
trust_anchors_read(struct trust_anchors *anchors, int file, struct error *error)
{
	int copy = dup(file), result;
	FILE *stream = copy == -1 ? NULL : fdopen(copy, "re");

	memset(anchors, 0, sizeof(*anchors));
	if (stream == NULL)
		return error_system(error, errno, "cannot read it");
	result = read_records(anchors, stream, error);
	fclose(stream);
	if (result == -1)
		trust_anchors_free(anchors);
	return result;
}

void
trust_anchors_free(struct trust_anchors *anchors)
{
	size_t i;

	for (i = 0; i < anchors->count; i++)
		free(anchors->records[i]);
	free(anchors->records);
	memset(anchors, 0, sizeof(*anchors));
}
