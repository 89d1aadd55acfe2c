/*
 * inspection - what the inbound controls would say to a session that nobody has, for `matador explain session`
 *
 * The same facts are asked of the same programs, the same controls judge them in the same order; but nothing is
 * counted, remembered or logged as if a client had come. What the DNS says is remembered all the same, and logged where
 * it is amiss (client_memory.h): the next client with that address has it at once.
 *
 * Bounds: as many questions at a time as the protocol's window, of a few callers.
 */
#ifndef SMTPD_INSPECTION_H
#define SMTPD_INSPECTION_H

#include <stddef.h>

struct event_base;
struct inquirer;
struct inspector;
struct limits;
struct rules;

/* inquirer and limits are borrowed; processes is how many smtpd processes share the ports. */
struct inspector *inspector_new(struct event_base *base, struct inquirer *inquirer, const struct limits *limits,
    size_t processes);
/* Callers are cut off. The pointer is cleared; NULL is accepted. */
void inspector_free(struct inspector **inspector);

/* The documents by which questions are answered from now on; held. */
void inspector_set_rules(struct inspector *inspector, struct rules *rules);

/* Takes over the socket of a caller. */
void inspector_connect(struct inspector *inspector, int socket);

#endif
