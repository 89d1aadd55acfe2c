/* conf_folder - a folder of configuration files for one test: written, read, removed */
#ifndef TESTS_UNIT_COMMON_CONF_FOLDER_H
#define TESTS_UNIT_COMMON_CONF_FOLDER_H

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf/documents.h"

/* What most tests need beside their own file. */
#define CONF_FOLDER_HOST "server_name = \"Hub1/Servers/Acme\"\npostmaster = postmaster@acme.com\n"
#define CONF_FOLDER_SERVER \
	"server \"Hub1/Servers/Acme\" { domino_domain = Acme internet_host_name = hub.acme.com }\n"

struct conf_folder {
	char path[64];
};

static inline void
conf_folder_make(struct conf_folder *folder)
{
	char directory[96];

	strcpy(folder->path, "/tmp/test_conf.XXXXXX");
	assert_non_null(mkdtemp(folder->path));
	snprintf(directory, sizeof(directory), "%s/directory", folder->path);
	assert_int_equal(mkdir(directory, 0700), 0);
}

/* The mode of the file is 0600. */
static inline void
conf_folder_write_bytes(const struct conf_folder *folder, const char *name, const void *bytes, size_t length)
{
	char path[PATH_MAX];
	int file;

	snprintf(path, sizeof(path), "%s/%s", folder->path, name);
	file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(file >= 0);
	assert_int_equal(write(file, bytes, length), (ssize_t)length);
	close(file);
}

static inline void
conf_folder_write(const struct conf_folder *folder, const char *name, const char *text)
{
	conf_folder_write_bytes(folder, name, text, strlen(text));
}

static inline void
conf_folder_write_usual(const struct conf_folder *folder)
{
	conf_folder_write(folder, "matador.conf", CONF_FOLDER_HOST);
	conf_folder_write(folder, "servers.conf", CONF_FOLDER_SERVER);
}

static inline void
conf_folder_remove(const struct conf_folder *folder)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", folder->path);
	assert_int_equal(system(command), 0);
}

/* The settings of a folder without mistakes. */
static inline const struct settings *
conf_folder_read(const struct conf_folder *folder)
{
	struct documents_report report;
	const struct settings *settings = documents_read(folder->path, &report);

	if (settings == NULL)
		print_error("%s", buffer_text(&report.errors));
	assert_non_null(settings);
	documents_report_free(&report);
	return settings;
}

#endif
