/* mail_hosts - see mail_hosts.h */
#include "smtp/mail_hosts.h"

#include <stdlib.h>

#include "common/base/memory.h"

struct mail_hosts *
mail_hosts_new(void)
{
	return memory_new(1, sizeof(struct mail_hosts));
}

void
mail_hosts_free(struct mail_hosts **hosts)
{
	struct mail_hosts *gone = *hosts;
	size_t i;

	if (gone == NULL)
		return;
	for (i = 0; i < gone->count; i++) {
		free(gone->targets[i].name);
		free(gone->targets[i].addresses);
	}
	free(gone->targets);
	free(gone->text);
	free(gone->failed_name);
	free(gone->failed_text);
	free(gone);
	*hosts = NULL;
}

static void
read_addresses(struct mail_target *target, const struct mail_host *host, uint16_t port)
{
	size_t limit = host->count < MAIL_ADDRESSES_MAX ? host->count : MAIL_ADDRESSES_MAX;
	struct wire_reader reader;
	size_t i;

	target->addresses = memory_new(limit + 1, sizeof(*target->addresses));
	wire_reader_init(&reader, host->addresses.data, host->addresses.length);
	for (i = 0; i < limit; i++) {
		struct bytes octets = wire_get_bytes(&reader, sizeof(struct in6_addr));

		if (reader.failed)
			break;
		target->address_count += socket_address_make(octets.data, octets.length, port,
		    &target->addresses[target->address_count]);
	}
}

static void
add_target(struct mail_hosts *hosts, const struct mail_host *host, uint16_t port)
{
	struct mail_target *target;

	if (hosts->count == MAIL_TARGETS_MAX)
		return;
	hosts->targets = memory_resize(hosts->targets, hosts->count + 1, sizeof(*hosts->targets));
	target = &hosts->targets[hosts->count++];
	*target = (struct mail_target){ .name = memory_copy_string(host->name), .preference = host->preference };
	read_addresses(target, host, port);
}

void
mail_hosts_add(struct mail_hosts *hosts, const struct mail_host *host, uint16_t port)
{
	if (host->state != MAIL_HOST_USABLE && host->state != MAIL_HOST_FAILED && host->state != MAIL_HOST_NO_ANSWER)
		return;
	if (!hosts->has_best || host->preference < hosts->best_preference)
		hosts->best_preference = host->preference;
	hosts->has_best = true;
	if (host->state == MAIL_HOST_USABLE) {
		add_target(hosts, host, port);
	} else if (host->state == MAIL_HOST_FAILED && hosts->failed_name == NULL) {
		hosts->failed_name = memory_copy_string(host->name);
		hosts->failed_text = memory_copy_string(host->text);
		hosts->failed_seconds = host->failed_seconds;
	}
}

void
mail_hosts_finish(struct mail_hosts *hosts, const struct mail_hosts_answer *answer)
{
	hosts->outcome = answer->outcome;
	hosts->retry_seconds = answer->retry_seconds;
	hosts->text = memory_copy_string(answer->text);
}
