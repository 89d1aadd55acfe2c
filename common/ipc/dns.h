/* dns - the messages of common/ipc/dns.def as structs, send functions and handlers */
#ifndef COMMON_IPC_DNS_H
#define COMMON_IPC_DNS_H

#define IPC_TABLE "common/ipc/dns.def"
#define IPC_PROTOCOL dns
#include "common/ipc/declare.h"

enum dns_kind {
	DNS_HOST,		/* the addresses of a host: A and AAAA together */
	DNS_PTR,		/* the name of an address; name is the address as text */
	DNS_A,
	DNS_AAAA,
	DNS_MX,
	DNS_TXT,
	DNS_TLSA,
	DNS_CNAME,
	DNS_KIND_COUNT,
};

enum dns_outcome {
	DNS_FOUND,
	DNS_NO_NAME,		/* the name does not exist: NXDOMAIN */
	DNS_NO_DATA,		/* the name exists without such records */
	DNS_NO_ANSWER,		/* time-out, SERVFAIL, refused: try later, conclude nothing */
};

enum dns_security { DNS_INSECURE, DNS_SECURE, DNS_BOGUS };

#define MAIL_HOSTS_NO_MX 1	/* the name is a host: only its addresses count */
#define MAIL_HOSTS_FRESH 2	/* what is remembered of failed hosts does not count */

enum mail_host_state {
	MAIL_HOST_USABLE,
	MAIL_HOST_FAILED,	/* it failed a while ago and is remembered */
	MAIL_HOST_NO_ADDRESS,	/* no such name, no address, or text that is no host name */
	MAIL_HOST_NO_ANSWER,	/* DNS is silent about its addresses */
	MAIL_HOST_OURS,		/* our own name, or an address and port that we listen at */
	MAIL_HOST_BEHIND_OURS,	/* not preferred over ourselves (RFC 5321 section 5.1) */
	MAIL_HOST_STATE_COUNT,
};

enum mail_hosts_outcome {
	MAIL_HOSTS_FOUND,	/* at least one is USABLE */
	MAIL_HOSTS_NO_NAME,	/* the name does not exist */
	MAIL_HOSTS_NO_DATA,	/* it exists with neither MX nor address records */
	MAIL_HOSTS_NO_ADDRESS,	/* there are MX records, and none of their hosts has an address */
	MAIL_HOSTS_NULL_MX,	/* it says that it takes no mail (RFC 7505) */
	MAIL_HOSTS_LOOP,	/* we are the best host ourselves */
	MAIL_HOSTS_ALL_FAILED,	/* all that could be tried are remembered as failed */
	MAIL_HOSTS_NO_ANSWER,	/* try later, conclude nothing */
	MAIL_HOSTS_OUTCOME_COUNT,
};

#endif
