/*
 * check - what the documents of etc/ say about each other
 *
 * Each function reports every mistake of its subject.
 */
#ifndef COMMON_CONF_CHECK_H
#define COMMON_CONF_CHECK_H

#include "common/conf/documents.h"
#include "common/conf/names.h"
#include "common/conf/settings_memory.h"

struct check {
	struct settings *settings;
	struct documents_report *report;
	struct names *names;
	const char *host_file;	/* matador.conf: where a mistake is mended whose value stands nowhere */
};

/* at, or matador.conf when it is the place of a default. */
static inline struct position
check_where(const struct check *check, struct position at)
{
	return at.line > 0 ? at : (struct position){ check->host_file, 0 };
}

/* Chooses the documents in force and checks everything. host_file is matador.conf, for messages. */
void check_documents(struct settings *settings, struct documents_report *report, const char *host_file);

/* Puts every name into check->names; names that stand twice are mistakes. */
void check_names(struct check *check);
/* Finds our Server document, or assumes one. */
void check_choose_server(struct check *check);
/* Finds the Configuration Settings document in force. */
void check_choose_configuration(struct check *check);
/* Paths, ports, certificates. */
void check_host(struct check *check);
void check_servers(struct check *check);
void check_domains(struct check *check);
void check_connections(struct check *check);
void check_directory(struct check *check);
/* Lists of every document: groups and names in them exist. */
void check_lists(struct check *check);
/* Configuration Settings documents: keys that contradict or need each other. */
void check_controls(struct check *check);
/* Warns of inbound controls in force that are set in a way in which they cannot act. */
void check_inbound(struct check *check);
/* Warns of settings that no program reads in this version. */
void check_effect(struct check *check);

#endif
