/* check_choose - which Server and Configuration Settings documents are in force here */
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/conf/check.h"
#include "common/conf/report.h"
#include "common/mail/address.h"

#define HOST_NAME_SIZE 256

/* The system's fully qualified name, or as much of it as the system knows. */
static void
find_host_name(char name[static HOST_NAME_SIZE])
{
	struct addrinfo hints = { .ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM }, *found = NULL;

	name[HOST_NAME_SIZE - 1] = '\0';
	if (gethostname(name, HOST_NAME_SIZE - 1) < 0)
		name[0] = '\0';
	if (strchr(name, '.') == NULL && getaddrinfo(name, NULL, &hints, &found) == 0) {
		if (found->ai_canonname != NULL && strchr(found->ai_canonname, '.') != NULL)
			snprintf(name, HOST_NAME_SIZE, "%s", found->ai_canonname);
		freeaddrinfo(found);
	}
	for (char *c = name; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c |= 0x20;
}

/* "HOST/Servers": the name of a server that is not given one. */
static const char *
default_server_name(struct check *check, const char *host_name)
{
	char name[HOST_NAME_SIZE + 16];
	int length = snprintf(name, sizeof(name), "%.*s/Servers", (int)strcspn(host_name, "."), host_name);

	return settings_memory_text(check->settings->memory, name, (size_t)length);
}

/* Where the administrator would write it. */
static struct position
servers_file(struct check *check)
{
	const char *slash = strrchr(check->host_file, '/');
	char path[PATH_MAX + 64];
	int length = snprintf(path, sizeof(path), "%.*sservers.conf", slash == NULL ? 0 : (int)(slash - check->host_file) + 1,
	    check->host_file);

	return (struct position){ settings_memory_text(check->settings->memory, path, (size_t)length), 0 };
}

static void
assume_server(struct check *check, const char *name, const char *host_name)
{
	struct settings *settings = check->settings;
	struct document_server *server = settings_memory_take(settings->memory, 1, sizeof(*server));

	*server = settings->server;
	server->title = name;
	server->at = settings->matador.server_name.at;
	server->smtp_listener_task.number = 1;
	server->smtp_listener_task.text = "enabled";
	server->internet_host_name.text = settings_memory_text(settings->memory, host_name, strlen(host_name));
	settings->server_documents = server;
	settings->server_count = 1;
	settings->server = *server;
	if (strchr(host_name, '.') == NULL || !domain_is_valid(host_name, false))
		report_error(check->report, servers_file(check), "internet_host_name",
		    "found the system's name \"%s\"; allowed: a fully qualified name such as hub.acme.com, from "
		    "hostname(1) and /etc/hosts or from a server document in servers.conf", host_name);
	names_add(check->names, name, NAME_SERVER, server->at, server);
}

void
check_choose_server(struct check *check)
{
	struct settings *settings = check->settings;
	const char *name = settings->matador.server_name.text;
	const struct name_entry *found;
	char host_name[HOST_NAME_SIZE];

	if (name[0] == '\0' || settings->server_count == 0)
		find_host_name(host_name);
	if (name[0] == '\0')
		name = default_server_name(check, host_name);
	settings->matador.server_name.text = name;
	if (settings->server_count == 0) {
		assume_server(check, name, host_name);
		return;
	}
	found = names_find(check->names, name, NAME_SERVER);
	if (found == NULL)
		report_error(check->report, check_where(check, settings->matador.server_name.at), "server_name",
		    "found \"%s\", which has no server document; allowed: the title of one in servers.conf", name);
	else
		settings->server = *(const struct document_server *)found->document;
}

/* The group that a configuration is for, when our server is in it. */
static bool
is_for_our_group(const struct check *check, const struct document_configuration *configuration)
{
	const struct name_entry *group = names_find(check->names, configuration->title, NAME_GROUP);

	return group != NULL && names_group_has(check->names, group->document, check->settings->server.title);
}

void
check_choose_configuration(struct check *check)
{
	struct settings *settings = check->settings;
	const struct document_configuration *for_server = NULL, *for_group = NULL, *for_all = NULL, *chosen;

	for (size_t i = 0; i < settings->configuration_count; i++) {
		const struct document_configuration *one = &settings->configuration_documents[i];

		if (strcmp(one->title, "*") == 0) {
			for_all = one;
		} else if (strcasecmp(one->title, settings->server.title) == 0) {
			for_server = one;
		} else if (names_find(check->names, one->title, NAME_SERVER | NAME_GROUP) == NULL) {
			report_error(check->report, one->at, "configuration", "found \"%s\", which is neither a "
			    "server nor a group; allowed: \"*\", the title of a server document, of a group",
			    one->title);
		} else if (is_for_our_group(check, one)) {
			if (for_group != NULL)
				report_error(check->report, one->at, "configuration",
				    "found \"%s\", but \"%s\" (%s:%u) also holds our server; allowed: one group "
				    "for each server", one->title, for_group->title, for_group->at.file,
				    for_group->at.line);
			for_group = one;
		}
	}
	chosen = for_server != NULL ? for_server : for_group != NULL ? for_group : for_all;
	if (chosen != NULL)
		settings->configuration = *chosen;
}
