/*
 * world - the documents of one organization as a test's settings; read from text, so that files and lines are real
 */
#ifndef TESTS_UNIT_ROUTER_WORLD_H
#define TESTS_UNIT_ROUTER_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf/documents.h"

static const char *const world_files[][2] = {
	{ "matador.conf",
	    "server_name = \"Hub1/Servers/Acme\"\n"
	    "postmaster = \"Jane Doe/Sales/Acme\"\n"
	    "listen_addresses = { \"192.0.2.25\", \"[2001:db8::25]\" }\n" },
	{ "servers.conf",
	    "server \"Hub1/Servers/Acme\" {\n"
	    "  domino_domain = Acme internet_host_name = hub.acme.com smtp_listener_task = enabled\n"
	    "  notes_named_networks = { \"TCPIP Paris\" }\n"
	    "}\n"
	    "server \"Hub2/Servers/Acme\" {\n"
	    "  domino_domain = Acme internet_host_name = Hub2.acme.com smtp_listener_task = enabled\n"
	    "  notes_named_networks = { \"TCPIP Tokyo\", \"tcpip paris\" }\n"
	    "}\n"
	    "server \"East1/Servers/East\" { domino_domain = East internet_host_name = east1.east.example }\n" },
	{ "configurations.conf",
	    "configuration \"*\" {\n"
	    "  smtp_outside_local_internet_domain = enabled\n"
	    "}\n" },
	{ "domains.conf",
	    "global_domain \"Acme mail\" {\n"
	    "  local_primary_internet_domain = acme.com\n"
	    "  internet_domain_aliases = { \"acme.fr\", \"*.acme.net\" }\n"
	    "}\n"
	    "foreign_domain \"Fax\" { gateway_server = \"Hub1/Servers/Acme\" gateway_mail_file = faxout }\n"
	    "foreign_domain \"Pager\" {\n"
	    "  gateway_server = \"Hub1/Servers/Acme\" gateway_mail_file = pagerout deny_from = { Acme }\n"
	    "}\n"
	    "non_adjacent_domain \"West\" { route_through = East }\n" },
	{ "connections.conf",
	    "connection \"To East\" { source = \"Hub1/Servers/Acme\" destination = \"East1/Servers/East\" }\n" },
};

static const char *const world_people =
    "person \"Jane Doe/Sales/Acme\" { internet_address = jane.doe@acme.com mail_file = jdoe }\n";

/* The settings; *settings may be changed by the test: world_end() frees what was read. */
struct world {
	const struct settings *read;
	struct settings settings;
	char folder[64];
};

static void
world_write(const char *folder, const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	fputs(text, file);
	fclose(file);
}

static inline void
world_begin(struct world *world)
{
	struct documents_report report;
	char path[128];

	strcpy(world->folder, "/tmp/matador-world.XXXXXX");
	if (mkdtemp(world->folder) == NULL)
		abort();
	snprintf(path, sizeof(path), "%s/directory", world->folder);
	if (mkdir(path, 0700) != 0)
		abort();
	for (size_t i = 0; i < sizeof(world_files) / sizeof(world_files[0]); i++)
		world_write(world->folder, world_files[i][0], world_files[i][1]);
	world_write(world->folder, "directory/people.conf", world_people);
	world->read = documents_read(world->folder, &report);
	if (world->read == NULL) {
		fputs(buffer_text(&report.errors), stderr);
		abort();
	}
	documents_report_free(&report);
	world->settings = *world->read;
	world->settings.references = 1;
}

static inline void
world_end(struct world *world)
{
	char path[128];

	settings_release(&world->read);
	for (size_t i = 0; i < sizeof(world_files) / sizeof(world_files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", world->folder, world_files[i][0]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/directory/people.conf", world->folder);
	unlink(path);
	snprintf(path, sizeof(path), "%s/directory", world->folder);
	rmdir(path);
	rmdir(world->folder);
}

#endif
