/* check_host - this host and the Server documents: paths, ports, certificates, names */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/conf/check.h"
#include "common/conf/report.h"

static void
check_paths(struct check *check)
{
	const struct document_matador *matador = &check->settings->matador;
	const struct setting *folders[] = { &matador->spool_directory, &matador->mail_directory,
	    &matador->program_directory };
	static const char *const names[] = { "spool_directory", "mail_directory", "program_directory" };

	for (size_t i = 0; i < ARRAY_COUNT(folders); i++) {
		if (folders[i]->text[0] == '\0' || strcmp(folders[i]->text, "/") == 0)
			report_error(check->report, folders[i]->at, names[i], "found \"%s\"; allowed: the path "
			    "of a folder of its own", folders[i]->text);
		for (size_t j = 0; j < i; j++)
			if (strcmp(folders[i]->text, folders[j]->text) == 0)
				report_error(check->report, folders[i]->at, names[i],
				    "found the folder of %s; allowed: the path of a folder of its own", names[j]);
	}
	if (matador->control_socket.text[0] == '\0')
		report_error(check->report, matador->control_socket.at, "control_socket",
		    "found \"\"; allowed: an absolute path");
	if (strcmp(matador->log_to.text, "syslog") != 0 && strcmp(matador->log_to.text, "stderr") != 0 &&
	    matador->log_to.text[0] != '/')
		report_error(check->report, matador->log_to.at, "log_to", "found \"%s\"; allowed: syslog, "
		    "stderr, an absolute path", matador->log_to.text);
}

static void
check_user_prefix(struct check *check)
{
	const struct setting *prefix = &check->settings->matador.user_prefix;
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";

	if (prefix->text[strspn(prefix->text, allowed)] != '\0' || !(prefix->text[0] >= 'a' &&
	    prefix->text[0] <= 'z'))
		report_error(check->report, prefix->at, "user_prefix", "found \"%s\"; allowed: a lower-case "
		    "letter, then lower-case letters, digits, _ and -", prefix->text);
}

/* A port that is open must be the only use of its number. */
static void
check_ports(struct check *check)
{
	const struct document_server *server = &check->settings->server;
	const struct document_matador *matador = &check->settings->matador;
	bool listens = server->smtp_listener_task.number != 0;
	const struct {
		const struct setting *port;
		const char *name;
		bool is_open;
	} ports[] = {
		{ &server->smtp_inbound_tcp_port, "smtp_inbound.tcp_port", listens &&
		    server->smtp_inbound_tcp_status.number },
		{ &server->smtp_inbound_tls_port, "smtp_inbound.tls_port", listens &&
		    server->smtp_inbound_tls_status.number },
		{ &matador->submission_port, "submission_port", matador->submission_port.number != 0 },
		{ &matador->notes_port, "notes_port", matador->notes_port.number != 0 },
	};

	for (size_t i = 0; i < ARRAY_COUNT(ports); i++)
		for (size_t j = 0; j < i; j++)
			if (ports[i].is_open && ports[j].is_open && ports[i].port->number == ports[j].port->number)
				report_error(check->report, ports[i].port->at, ports[i].name,
				    "found %" PRId64 ", the port of %s; allowed: a port of its own",
				    ports[i].port->number, ports[j].name);
}

static void
check_tls(struct check *check)
{
	const struct document_matador *matador = &check->settings->matador;
	const struct setting *key = &matador->tls_key_file, *certificate = &matador->tls_certificate_file;
	struct stat status;

	if ((key->text[0] == '\0') != (certificate->text[0] == '\0'))
		report_error(check->report, key->text[0] == '\0' ? certificate->at : key->at,
		    key->text[0] == '\0' ? "tls_certificate_file" : "tls_key_file",
		    "found one of tls_certificate_file and tls_key_file; allowed: both or none");
	if (certificate->text[0] != '\0' && stat(certificate->text, &status) < 0)
		report_error(check->report, certificate->at, "tls_certificate_file", "found %s (%s); allowed: a "
		    "file that can be read", certificate->text, strerror(errno));
	if (key->text[0] != '\0' && stat(key->text, &status) < 0)
		report_error(check->report, key->at, "tls_key_file", "found %s (%s); allowed: a file that can be "
		    "read", key->text, strerror(errno));
	else if (key->text[0] != '\0' && (status.st_mode & S_IRWXO) != 0)
		report_error(check->report, key->at, "tls_key_file", "found %s with mode %04o, open to others; "
		    "allowed: mode 0600 (chmod 600 %s)", key->text, (unsigned)(status.st_mode & 07777), key->text);
	if (certificate->text[0] != '\0')
		return;
	if (check->settings->server.smtp_inbound_tls_status.number)
		report_error(check->report, check->settings->server.smtp_inbound_tls_status.at,
		    "smtp_inbound.tls_status", "found enabled, but matador.conf names no certificate; allowed: "
		    "disabled, or tls_certificate_file and tls_key_file");
	if (check->settings->configuration.smtp_in_starttls.number)
		report_error(check->report, check->settings->configuration.smtp_in_starttls.at,
		    "smtp_in_starttls", "found enabled, but matador.conf names no certificate; allowed: "
		    "disabled, or tls_certificate_file and tls_key_file");
}

static void
check_postmaster(struct check *check)
{
	const struct setting *postmaster = &check->settings->matador.postmaster;

	if (postmaster->text[0] == '\0')
		report_warning(check->report, check_where(check, postmaster->at), "postmaster",
		    "nobody gets the mail for postmaster, abuse and root; set it in matador.conf to a person or "
		    "an address");
	else if (strchr(postmaster->text, '@') == NULL && names_find(check->names, postmaster->text,
	    NAME_RECIPIENT) == NULL)
		report_error(check->report, check_where(check, postmaster->at), "postmaster",
		    "found \"%s\", which the Directory does not know; allowed: a person, a group, a mail-in "
		    "database, an Internet address", postmaster->text);
}

/* "*" already means every address. */
static void
check_listen_addresses(struct check *check)
{
	const struct setting *addresses = &check->settings->matador.listen_addresses;

	for (size_t i = 0; i < addresses->count; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(addresses->items[i].text, addresses->items[j].text) == 0 ||
			    strcmp(addresses->items[i].text, "*") == 0 || strcmp(addresses->items[j].text,
			    "*") == 0)
				report_error(check->report, addresses->items[i].at, "listen_addresses",
				    "found %s beside %s; allowed: each address once, * alone",
				    addresses->items[i].text, addresses->items[j].text);
	if (addresses->count == 0)
		report_error(check->report, check_where(check, addresses->at), "listen_addresses",
		    "found {}; allowed: \"*\" or addresses (to take no mail by SMTP set smtp_listener_task = "
		    "disabled in servers.conf)");
}

void
check_host(struct check *check)
{
	check_paths(check);
	check_user_prefix(check);
	check_listen_addresses(check);
	check_ports(check);
	check_tls(check);
	check_postmaster(check);
}

void
check_servers(struct check *check)
{
	const struct document_server *ours = &check->settings->server;

	for (size_t i = 0; i < check->settings->server_count; i++) {
		const struct document_server *server = &check->settings->server_documents[i];
		const struct setting *name = &server->internet_host_name, *domain = &server->domino_domain;
		bool is_ours = strcasecmp(server->title, ours->title) == 0;

		if (server->at.line > 0 && name->text[0] == '\0' && is_ours)
			report_error(check->report, check_where(check, server->at), "internet_host_name",
			    "found no Internet host name in our server document; allowed: a fully qualified name "
			    "such as hub.acme.com");
		else if (name->given && name->text[0] != '\0' && strchr(name->text, '.') == NULL)
			report_error(check->report, name->at, "internet_host_name",
			    "found \"%s\"; allowed: a fully qualified name such as hub.acme.com", name->text);
		if (domain->text[strcspn(domain->text, ". @/%")] != '\0')
			report_error(check->report, domain->at, "domino_domain", "found \"%s\"; allowed: one "
			    "word without . @ / %%", domain->text);
	}
}
