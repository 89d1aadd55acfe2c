/*
 * hosts_client - our end of the pair with resolver: which hosts take the mail of a next hop
 *
 * Owns:   the channel and every question without an answer, with the hosts told so far.
 * Fails:  a question of a resolver that died is asked again of the next one, and what the old one said does not
 *         count; without an answer in time it ends as MAIL_HOSTS_NO_ANSWER.
 * Bounds: HOSTS_MAX hosts of an answer are kept.
 */
#ifndef ROUTER_HOSTS_CLIENT_H
#define ROUTER_HOSTS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ipc/dns.h"

#define HOSTS_MAX 1000

struct event_base;
struct hosts_client;

/* One host, in its place: what mail_host of common/ipc/dns.def says. */
struct next_host {
	uint16_t preference;
	enum mail_host_state state;
	enum dns_security security;
	uint32_t failed_seconds;
	char *name;
	char *text;
	uint8_t *addresses;
	size_t addresses_length;
};

struct next_hosts {
	enum mail_hosts_outcome outcome;
	enum dns_security security;
	bool implicit;
	uint32_t retry_seconds;
	const char *text;
	const struct next_host *list;
	size_t count;
};

struct hosts_client *hosts_client_new(struct event_base *base);
void hosts_client_free(struct hosts_client **client);

/* resolver is there, for the first time or again: takes over socket. */
void hosts_client_introduce(struct hosts_client *client, enum ipc_side side, int socket);

/*
 * Asks for the hosts of name with port and flags (MAIL_HOSTS_...); an answer is waited for within_ms milliseconds.
 * The result names the question; answered is called once, hosts are lent to it until it returns, and the question
 * is gone by then.
 */
uint64_t hosts_client_ask(struct hosts_client *client, const char *name, uint16_t port, uint8_t flags,
    int64_t within_ms, void (*answered)(void *context, const struct next_hosts *hosts), void *context);

/* Nobody wants the answer any more. */
void hosts_client_forget(struct hosts_client *client, uint64_t number);

/* Questions without an answer. */
size_t hosts_client_open_questions(const struct hosts_client *client);

#endif
