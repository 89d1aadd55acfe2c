/* selection - which messages a control command means */
#ifndef QMGR_SELECTION_H
#define QMGR_SELECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/mail/envelope.h"

/* Empty texts and zeros match everything; what is given must all match, the recipient's part for one and the same recipient. */
struct selection {
	uint64_t id;
	char *sender;		/* owned; "<>" is the null sender, "@domain" all of a domain */
	char *recipient;	/* owned; likewise */
	char *destination;	/* owned: "transport:next_hop", a next hop, or its host */
	bool or_domain;		/* ... or the domain of a recipient that goes to another server */
	char *state;		/* owned: held, deferred, or a recipient's state */
	int64_t older_than_ms;
};

void selection_init(struct selection *selection, uint64_t id, const char *sender, const char *recipient,
    const char *destination, const char *state, uint64_t older_than_seconds);
void selection_free(struct selection *selection);
/* Whether text names where the recipient goes; or_domain as above. */
bool selection_is_destination(const char *text, const struct envelope_recipient *recipient, bool or_domain);
bool selection_matches(const struct selection *selection, const struct envelope *envelope, bool held, int64_t now_wall_ms);

#endif
