/* reload - see reload.h */
#include "master/reload.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "common/conf/documents.h"
#include "common/log/log.h"
#include "common/worker/installation.h"
#include "master/notify.h"
#include "master/own_log.h"
#include "master/service.h"

static unsigned
compare(const char *name, const struct setting *old, const struct setting *new, struct buffer *text)
{
	if (old->number == new->number && strcmp(old->text, new->text) == 0)
		return 0;
	if (new->at.line != 0)
		buffer_printf(text, "%s:%u: ", new->at.file, new->at.line);
	buffer_printf(text, "%s: cannot be changed while the service runs; use `matador restart`, or set it back\n", name);
	return 1;
}

/* Whether messages up to largest (0: of any size) may be larger than a running smtpd can write. */
static bool
exceeds(int64_t largest, uint64_t limit)
{
	return limit != UINT64_MAX && (largest == 0 || (uint64_t)largest > limit);
}

unsigned
reload_find_refused(const struct settings *in_force, const struct settings *wanted, struct buffer *text)
{
	const struct document_matador *old = &in_force->matador, *new = &wanted->matador;
	int64_t new_size = wanted->configuration.maximum_message_size_kb.number;
	unsigned count = 0;

	count += compare("server_name", &old->server_name, &new->server_name, text);
	count += compare("spool_directory", &old->spool_directory, &new->spool_directory, text);
	count += compare("mail_directory", &old->mail_directory, &new->mail_directory, text);
	count += compare("program_directory", &old->program_directory, &new->program_directory, text);
	count += compare("control_socket", &old->control_socket, &new->control_socket, text);
	count += compare("log_to", &old->log_to, &new->log_to, text);
	count += compare("user_prefix", &old->user_prefix, &new->user_prefix, text);
	count += compare("smtpd_processes", &old->smtpd_processes, &new->smtpd_processes, text);
	count += compare("smtp_processes", &old->smtp_processes, &new->smtp_processes, text);
	if (installation_open_files(wanted, ROLE_SMTPD) > installation_open_files(in_force, ROLE_SMTPD))
		count += compare("maximum_sessions", &in_force->configuration.maximum_sessions,
		    &wanted->configuration.maximum_sessions, text);
	if (exceeds(new_size, installation_file_size(in_force, ROLE_SMTPD)))
		count += compare("maximum_message_size_kb", &in_force->configuration.maximum_message_size_kb,
		    &wanted->configuration.maximum_message_size_kb, text);
	return count;
}

static int
take_over(struct service *service, const struct settings *settings, struct buffer *text)
{
	struct error error = ERROR_INITIALIZER;

	if (service_open_ports(service, settings, &error) == -1 ||
	    supervisor_change_settings(&service->supervisor, settings, &error) == -1) {
		buffer_printf(text, "%s\n", error.text);
		return EX_CONFIG;
	}
	settings_release(&service->settings);
	service->settings = settings_hold(settings);
	if (installation_make_for_start(settings, service->privileged, &error) == -1)
		log_event(LOG_NOTE, error.text);
	own_log_reopen();
	log_event(LOG_RELOADED);
	return EX_OK;
}

static void
log_refusal(unsigned long count, const struct buffer *text)
{
	char first[300];

	snprintf(first, sizeof(first), "%.*s", (int)strcspn(buffer_text(text), "\n"), buffer_text(text));
	log_event(LOG_CONFIGURATION_REFUSED, log_number((int64_t)count), first);
}

int
service_reload(struct service *service, struct buffer *text)
{
	struct documents_report report;
	const struct settings *settings;
	unsigned long mistakes;
	int status;

	notify_reloading();
	settings = documents_read(service->options.folder, &report);
	buffer_append(text, report.errors.data, report.errors.length);
	mistakes = report.error_count;
	status = settings == NULL ? EX_CONFIG : EX_OK;
	if (settings != NULL) {
		mistakes = reload_find_refused(service->settings, settings, text);
		status = mistakes > 0 ? EX_CONFIG : take_over(service, settings, text);
		settings_release(&settings);
	}
	if (status == EX_OK)
		buffer_append(text, report.warnings.data, report.warnings.length);
	else
		log_refusal(mistakes > 0 ? mistakes : 1, text);
	documents_report_free(&report);
	notify_ready();
	return status;
}
