/* outbound - see outbound.h */
#include "smtp/outbound.h"

#include "common/log/log.h"

void
outbound_log(const struct delivery_job *job, const struct use_of_host *use)
{
	char address[INET6_ADDRSTRLEN];

	socket_address_format(use->address, address);
	log_event(LOG_ATTEMPT, log_id(job->message_id), job->next_hop, use->host, address, "no",
	    log_number((int64_t)job->envelope.recipient_count), log_number(use->delivered), use->reply,
	    use->connect_ms < 0 ? "-" : log_seconds(use->connect_ms), log_seconds(use->elapsed_ms));
}
