/* check_effect - warns of settings that stand in a document and have no effect in this version */
#include "common/conf/check.h"
#include "common/conf/report.h"
#include "common/conf/table.h"

/* One warning a row, however many documents set it: the first one's place. */
static void
check_row(struct check *check, enum document_kind kind, const struct setting_row *row)
{
	size_t count = settings_document_count(check->settings, kind);
	char label[128];

	for (size_t i = 0; i < count; i++) {
		const struct setting *setting = document_setting_const(settings_document(check->settings, kind, i), row);

		if (!setting->given)
			continue;
		report_warning(check->report, setting->at, setting_row_label(row, label),
		    "is known and checked, but has no effect in this version");
		return;
	}
}

void
check_effect(struct check *check)
{
	for (int kind = 0; kind < KIND_COUNT; kind++)
		for (size_t i = 0; i < document_rows[kind].setting_count; i++)
			if (!setting_row_has_effect((enum document_kind)kind, &document_rows[kind].settings[i]))
				check_row(check, (enum document_kind)kind, &document_rows[kind].settings[i]);
}
