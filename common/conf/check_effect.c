/* check_effect - warns of settings that a document changes and that have no effect in this version */
#include <string.h>

#include "common/conf/check.h"
#include "common/conf/report.h"
#include "common/conf/table.h"
#include "common/conf/templates.h"

static bool
settings_agree(const struct setting *a, const struct setting *b)
{
	if (a->number != b->number || a->count != b->count || strcmp(a->text, b->text) != 0)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->items[i].text, b->items[i].text) != 0)
			return false;
	return true;
}

/* One warning a row, however many documents change it: the first one's place. */
static void
check_row(struct check *check, enum document_kind kind, const void *defaults, const struct setting_row *row)
{
	size_t count = settings_document_count(check->settings, kind);
	char label[128];

	for (size_t i = 0; i < count; i++) {
		const struct setting *setting = document_setting_const(settings_document(check->settings, kind, i), row);

		if (!setting->given || settings_agree(setting, document_setting_const(defaults, row)))
			continue;
		report_warning(check->report, setting->at, setting_row_label(row, label),
		    "is known and checked, but has no effect in this version");
		return;
	}
}

/* Of our own server's port for outbound SMTP: what one may not expect of a value. */
static void
check_outbound_port(struct check *check)
{
	const struct setting *status = &check->settings->server.smtp_outbound_tcp_status;

	if (status->number == SMTP_OUTBOUND_TCP_STATUS_NEGOTIATED_TLS)
		report_warning(check->report, status->at, "smtp_outbound.tcp_status",
		    "negotiated_tls has the effect of enabled in this version: mail leaves without TLS");
	else if (status->number == SMTP_OUTBOUND_TCP_STATUS_DISABLED)
		report_warning(check->report, status->at, "smtp_outbound.tcp_status",
		    "disabled: no mail leaves by SMTP, it waits");
}

void
check_effect(struct check *check)
{
	struct buffer problems = BUFFER_INITIALIZER(0);

	for (int kind = 0; kind < KIND_COUNT; kind++) {
		const void *defaults = template_new((enum document_kind)kind, check->settings->memory, &problems);

		for (size_t i = 0; i < document_rows[kind].setting_count; i++)
			if (!setting_row_has_effect((enum document_kind)kind, &document_rows[kind].settings[i]))
				check_row(check, (enum document_kind)kind, defaults, &document_rows[kind].settings[i]);
	}
	buffer_free(&problems);
	check_outbound_port(check);
}
