/*
 * resolver - answers the other programs' questions to the DNS
 *
 * Names to addresses and addresses to names, by libunbound, with a cache of its own, and by the hosts file as
 * host_name_lookup says.
 *
 * SECURITY: parses packets that anyone on the path can forge, with libunbound and libldns. It runs as a user
 * of its own in an empty root, opens no file after its start (/etc/resolv.conf and /etc/hosts are read
 * before), holds nobody's mail, and can do nothing but send datagrams and give answers. Those who ask bound
 * and check what it says.
 */
#include <event2/event.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "common/conf/settings.h"
#include "common/log/log.h"
#include "common/worker/worker.h"
#include "resolver/lookups.h"
#include "resolver/nameservers.h"

#define OTHER_DESCRIPTORS 128	/* open files that are not for questions: channels, TCP, libevent */

_Static_assert((int)LOOKUP_DNS_THEN_HOSTS == (int)HOST_NAME_LOOKUP_DYNAMIC_THEN_LOCAL &&
    (int)LOOKUP_DNS == (int)HOST_NAME_LOOKUP_DYNAMIC_ONLY && (int)LOOKUP_HOSTS == (int)HOST_NAME_LOOKUP_LOCAL_ONLY,
    "the orders of look-up are those of the setting");

struct program {
	struct hosts_file *hosts;
	struct nameservers system;	/* of resolv.conf */
	struct lookups *lookups;
};

static unsigned
usable_sockets(unsigned wanted)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur < 2 * OTHER_DESCRIPTORS)
		return OTHER_DESCRIPTORS / 2;
	return limit.rlim_cur - OTHER_DESCRIPTORS < wanted ? (unsigned)(limit.rlim_cur - OTHER_DESCRIPTORS) : wanted;
}

static int
configure(struct worker *worker, struct error *error)
{
	struct program *program = worker_context(worker);
	const struct settings *settings = worker_settings(worker);
	const struct setting *nameservers = &settings->matador.nameservers;
	struct dns_context_options options = {
		.cache_size = (uint64_t)settings->matador.dns_cache_size.number,
		.questions = (unsigned)settings->matador.dns_concurrent_questions.number,
	};
	const char *given[16];

	options.sockets = usable_sockets(options.questions);
	options.nameservers = (const char *const *)program->system.addresses;
	options.nameserver_count = program->system.count;
	if (nameservers->count > 0) {
		options.nameservers = given;
		options.nameserver_count = 0;
		while (options.nameserver_count < nameservers->count && options.nameserver_count < ARRAY_COUNT(given)) {
			given[options.nameserver_count] = nameservers->items[options.nameserver_count].text;
			options.nameserver_count++;
		}
	}
	return lookups_configure(program->lookups, (enum lookup_order)settings->configuration.host_name_lookup.number,
	    settings->matador.dns_timeout.number * 1000, &options, error);
}

static void
resolver_before_jail(struct worker *worker)
{
	struct program *program = worker_context(worker);

	program->hosts = hosts_file_read("/etc/hosts");
	nameservers_read(&program->system, "/etc/resolv.conf");
}

static void
resolver_after_jail(struct worker *worker)
{
	struct program *program = worker_context(worker);
	struct error error = ERROR_INITIALIZER;

	program->lookups = lookups_new(worker_event_base(worker), program->hosts);
	if (configure(worker, &error) == -1)
		worker_fatal(worker, "%s", error.text);
}

static void
resolver_reloaded(struct worker *worker)
{
	struct error error = ERROR_INITIALIZER;

	if (configure(worker, &error) == -1)
		log_event(LOG_NOTE, error.text);
}

static void
resolver_introduced(struct worker *worker, enum role peer, unsigned instance UNUSED,
    const struct ipc_protocol *protocol UNUSED, enum ipc_side side, int socket)
{
	struct program *program = worker_context(worker);

	lookups_introduce(program->lookups, role_rows[peer].name, socket, side);
}

static void
resolver_status(struct worker *worker, struct buffer *lines)
{
	struct program *program = worker_context(worker);

	lookups_status(program->lookups, lines);
}

static void
resolver_leaving(struct worker *worker)
{
	struct program *program = worker_context(worker);

	lookups_free(&program->lookups);
	hosts_file_free(&program->hosts);
	nameservers_free(&program->system);
}

int
main(int argc, char **argv)
{
	static const struct worker_hooks hooks = {
		.role = ROLE_RESOLVER,
		.before_jail = resolver_before_jail,
		.after_jail = resolver_after_jail,
		.reloaded = resolver_reloaded,
		.introduced = resolver_introduced,
		.status = resolver_status,
		.leaving = resolver_leaving,
	};
	static struct program program;

	return worker_run(argc, argv, &hooks, &program);
}
