/*
 * resolver - answers the other programs' questions to the DNS
 *
 * Records of all kinds that mail needs, and where mail for a domain goes, by libunbound, with a cache of its own,
 * and by the hosts file as host_name_lookup says.
 *
 * SECURITY: parses packets that anyone on the path can forge, with libunbound and libldns. It runs as a user of its
 * own in an empty root, opens no file (master hands it /etc/resolv.conf, /etc/hosts and the trust anchors, open for
 * reading), holds nobody's mail, and can do nothing but ask name servers, ask the kernel for its routes, and give
 * answers. Those who ask bound and check what it says.
 */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/conf/settings.h"
#include "common/log/log.h"
#include "common/worker/worker.h"
#include "resolver/clients.h"
#include "resolver/hosts_file.h"
#include "resolver/nameservers.h"
#include "resolver/trust_anchors.h"

#define OTHER_DESCRIPTORS 128	/* open files that are not for questions: channels, TCP, libevent */

_Static_assert((int)LOOKUP_DNS_THEN_HOSTS == (int)HOST_NAME_LOOKUP_DYNAMIC_THEN_LOCAL &&
    (int)LOOKUP_DNS == (int)HOST_NAME_LOOKUP_DYNAMIC_ONLY && (int)LOOKUP_HOSTS == (int)HOST_NAME_LOOKUP_LOCAL_ONLY,
    "the orders of look-up are those of the setting");

/* What master opened for us, as it is on disk: they are read anew for each configuration. */
enum system_file { FILE_HOSTS, FILE_NAMESERVERS, FILE_TRUST_ANCHORS, FILE_COUNT };
static const char *const file_names[FILE_COUNT] = { "hosts", "resolv.conf", "dns_trust_anchor_file" };

struct system_data {
	struct hosts_file *hosts;
	struct nameservers nameservers;
	struct trust_anchors anchors;
};

struct program {
	int files[FILE_COUNT];		/* -1: there is none */
	struct system_data system;	/* in force */
	struct lookups *lookups;
	struct clients *clients;
};

/* ---- files ------------------------------------------------------------------------------------ */

static void
resolver_file(struct worker *worker, const char *name, int file)
{
	struct program *program = worker_context(worker);
	int i;

	for (i = 0; i < FILE_COUNT && strcmp(name, file_names[i]) != 0; i++)
		;
	if (i == FILE_COUNT) {
		close(file);
		return;
	}
	if (program->files[i] != -1)
		close(program->files[i]);
	program->files[i] = file;
}

static void
close_files(struct program *program)
{
	int i;

	for (i = 0; i < FILE_COUNT; i++) {
		if (program->files[i] != -1)
			close(program->files[i]);
		program->files[i] = -1;
	}
}

static void
free_system_data(struct system_data *system)
{
	hosts_file_free(&system->hosts);
	nameservers_free(&system->nameservers);
	trust_anchors_free(&system->anchors);
}

static int
read_system_data(const struct program *program, const struct settings *settings, struct system_data *system,
    struct error *error)
{
	const char *anchor_file = settings->matador.dns_trust_anchor_file.text;

	*system = (struct system_data){ .hosts = hosts_file_read(program->files[FILE_HOSTS]) };
	nameservers_read(&system->nameservers, program->files[FILE_NAMESERVERS]);
	if (anchor_file[0] == '\0')
		return 0;
	if (program->files[FILE_TRUST_ANCHORS] == -1)
		error_set(error, ERROR_INVALID, "there is no such file, or it cannot be read");
	if (program->files[FILE_TRUST_ANCHORS] == -1 ||
	    trust_anchors_read(&system->anchors, program->files[FILE_TRUST_ANCHORS], error) == -1)
		return error_prefix(error, "dns_trust_anchor_file %s", anchor_file);
	return 0;
}

/* ---- settings --------------------------------------------------------------------------------- */

static unsigned
usable_sockets(unsigned wanted)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur < 2 * OTHER_DESCRIPTORS)
		return OTHER_DESCRIPTORS / 2;
	return limit.rlim_cur - OTHER_DESCRIPTORS < wanted ? (unsigned)(limit.rlim_cur - OTHER_DESCRIPTORS) : wanted;
}

static int
configure_lookups(struct lookups *lookups, const struct settings *settings, const struct system_data *system,
    struct error *error)
{
	const struct setting *nameservers = &settings->matador.nameservers;
	struct dns_context_options options = {
		.nameservers = (const char *const *)system->nameservers.addresses,
		.nameserver_count = system->nameservers.count,
		.trust_anchors = (const char *const *)system->anchors.records,
		.trust_anchor_count = system->anchors.count,
		.cache_size = (uint64_t)settings->matador.dns_cache_size.number,
		.questions = (unsigned)settings->matador.dns_concurrent_questions.number,
	};
	const char *given[16];

	options.sockets = usable_sockets(options.questions);
	if (nameservers->count > 0) {
		options.nameservers = given;
		options.nameserver_count = 0;
		while (options.nameserver_count < nameservers->count && options.nameserver_count < ARRAY_COUNT(given)) {
			given[options.nameserver_count] = nameservers->items[options.nameserver_count].text;
			options.nameserver_count++;
		}
	}
	return lookups_configure(lookups, system->hosts,
	    (enum lookup_order)settings->configuration.host_name_lookup.number,
	    settings->matador.dns_timeout.number * 1000, &options, error);
}

/* Takes settings and files into force; -1 and an error when that is not possible, and what was in force stays. */
static int
configure(struct worker *worker, struct error *error)
{
	struct program *program = worker_context(worker);
	const struct settings *settings = worker_settings(worker);
	struct system_data system, dropped = program->system;
	int result = read_system_data(program, settings, &system, error);

	if (result == 0)
		result = configure_lookups(program->lookups, settings, &system, error);
	if (result == 0)
		program->system = system;
	else
		dropped = system;
	free_system_data(&dropped);
	close_files(program);
	clients_configure(program->clients, settings);
	return result;
}

static void
resolver_after_jail(struct worker *worker)
{
	struct program *program = worker_context(worker);
	struct error error = ERROR_INITIALIZER;

	program->lookups = lookups_new(worker_event_base(worker));
	program->clients = clients_new(worker_event_base(worker), program->lookups);
	if (configure(worker, &error) == -1)
		worker_fatal(worker, "%s", error.text);
}

static void
resolver_reloaded(struct worker *worker)
{
	struct error error = ERROR_INITIALIZER;

	if (configure(worker, &error) == 0)
		return;
	error_prefix(&error, "the old settings of the DNS stay in force");
	log_event(LOG_NOTE, error.text);
}

/* ---- the program ------------------------------------------------------------------------------ */

static void
resolver_introduced(struct worker *worker, enum role peer, unsigned instance UNUSED,
    const struct ipc_protocol *protocol UNUSED, enum ipc_side side, int socket)
{
	struct program *program = worker_context(worker);

	clients_introduce(program->clients, role_rows[peer].name, socket, side);
}

static void
resolver_status(struct worker *worker, struct buffer *lines)
{
	struct program *program = worker_context(worker);

	lookups_status(program->lookups, lines);
	clients_status(program->clients, lines);
}

static void
resolver_leaving(struct worker *worker)
{
	struct program *program = worker_context(worker);

	clients_free(&program->clients);
	lookups_free(&program->lookups);
	free_system_data(&program->system);
	close_files(program);
}

int
main(int argc, char **argv)
{
	static const struct worker_hooks hooks = {
		.role = ROLE_RESOLVER,
		.after_jail = resolver_after_jail,
		.file = resolver_file,
		.reloaded = resolver_reloaded,
		.introduced = resolver_introduced,
		.status = resolver_status,
		.leaving = resolver_leaving,
	};
	static struct program program = { .files = { -1, -1, -1 } };

	return worker_run(argc, argv, &hooks, &program);
}
