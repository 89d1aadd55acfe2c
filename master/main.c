/*
 * master - starts, connects, watches and restarts the programs of Matador
 *
 * SECURITY: master keeps the rights that it was started with, so it does little. It reads etc/, binds ports, makes socket
 * pairs, and starts programs; it never touches mail and never reads from the network. What it reads from other processes are
 * bounded packets of the worker and control protocols: a malformed one drops the channel. A control command's user is
 * known from the kernel before anything it sent is looked at; connections of submitting users are handed on unread. The
 * programs themselves change user and root folder before they touch anything that an outsider wrote.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/descriptors.h"
#include "common/log/log.h"
#include "master/notify.h"
#include "master/service.h"

static int
usage(FILE *stream, int status)
{
	fprintf(stream, "usage: master [-c folder] [--foreground]\n"
	    "  -c folder      where matador.conf is (default: " SYSCONFDIR "/matador)\n"
	    "  --foreground   do not detach; stop on Ctrl-C\n"
	    "Usually started by: matador start\n");
	return status;
}

int
main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "foreground", no_argument, NULL, 'F' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct service_options options = { .folder = SYSCONFDIR "/matador", .foreground = false };
	char *folder;
	int option, status;

	descriptors_fill_standard();
	while ((option = getopt_long(argc, argv, "c:", long_options, NULL)) != -1) {
		switch (option) {
		case 'c':
			options.folder = optarg;
			break;
		case 'F':
			options.foreground = true;
			break;
		case 'h':
			return usage(stdout, EX_OK);
		default:
			return usage(stderr, EX_USAGE);
		}
	}
	if (optind < argc)
		return usage(stderr, EX_USAGE);
	folder = realpath(options.folder, NULL);
	if (folder == NULL) {
		fprintf(stderr, "master: the folder of the configuration, %s: %m\n", options.folder);
		return EX_CONFIG;
	}
	options.folder = folder;
	umask(022);
	if (chdir("/") == -1)
		return EX_OSERR;
	log_open("master");
	notify_init();
	status = service_run(&options);
	free(folder);
	return status;
}
