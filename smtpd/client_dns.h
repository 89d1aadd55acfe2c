/*
 * client_dns - what the DNS is asked about a client's address, and what its answers mean
 *
 * Pure functions. The answers are of strangers: anyone can have a reverse zone, and a list's name can be parked.
 */
#ifndef SMTPD_CLIENT_DNS_H
#define SMTPD_CLIENT_DNS_H

#include <netinet/in.h>

#include "common/ipc/dns.h"
#include "smtpd/controls/control.h"

#define DNS_NAME_SIZE 256	/* octets of a name with its NUL */

/* How long answers are remembered. */
#define CLIENT_ANSWER_LONGEST_MS (60 * 60 * 1000)
#define CLIENT_ANSWER_NOTHING_MS (5 * 60 * 1000)	/* longest, when there is nothing */
#define CLIENT_ANSWER_SILENCE_MS (60 * 1000)		/* no answer */
#define CLIENT_ANSWER_SHORTEST_MS (30 * 1000)		/* at least from the greeting to the first MAIL */

/* The address as IPv6, an IPv4 address mapped. All zero for another family. */
struct in6_addr client_key(const struct sockaddr *address);

/* The address as text, an IPv4-mapped one as IPv4: what a DNS_PTR question asks about. */
void client_key_text(const struct in6_addr *key, char text[static INET6_ADDRSTRLEN]);

/* The key of an address that is given as text. False when it is none. */
bool client_key_of_text(const char *text, struct in6_addr *key_out);

/* The name to be asked at a DNS list: the octets of an IPv4 address, the nibbles of an IPv6 address, backwards, below the
 * zone (RFC 5782 section 2). False when that is no name: it is too long. */
bool dns_list_name(const struct in6_addr *key, const char *zone, char name[static DNS_NAME_SIZE]);

/*
 * The names in an answer to DNS_PTR: the first HOST_NAMES_MAX that consist of octets of host names; one that leads back to
 * the address is never left out for one that does not.
 */
void host_names_of_answer(const struct dns_answer *answer, struct host_names *names_out);

/*
 * The addresses in a list's answer to DNS_A that are in 127.0.0.0/8. *ignored_out is the first that is not; false when there
 * is none of these. An answer of only such ones lists nobody.
 */
bool dns_list_of_answer(const struct dns_answer *answer, struct dns_list_answer *list_out, struct in_addr *ignored_out);

/* How long an answer may be remembered: its time to live within the bounds above. */
int64_t client_answer_lifetime_ms(const struct dns_answer *answer);

#endif
