/* dns - the messages of common/ipc/dns.def as structs, send functions and handlers */
#ifndef COMMON_IPC_DNS_H
#define COMMON_IPC_DNS_H

#define IPC_TABLE "common/ipc/dns.def"
#define IPC_PROTOCOL dns
#include "common/ipc/declare.h"

enum dns_kind {
	DNS_HOST,		/* the addresses of a host: A and AAAA together */
	DNS_PTR,		/* the name of an address; name is the address as text */
};

enum dns_outcome {
	DNS_FOUND,
	DNS_NO_NAME,		/* the name does not exist: NXDOMAIN */
	DNS_NO_DATA,		/* the name exists without such records */
	DNS_NO_ANSWER,		/* time-out, SERVFAIL, refused: try later, conclude nothing */
};

enum dns_security { DNS_INSECURE, DNS_SECURE, DNS_BOGUS };

#endif
