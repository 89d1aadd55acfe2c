/* selection - see selection.h */
#include "qmgr/selection.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/memory.h"

#define SECONDS_MAX (INT64_MAX / 1000)

void
selection_init(struct selection *selection, uint64_t id, const char *sender, const char *recipient,
    const char *destination, const char *state, uint64_t older_than_seconds)
{
	selection->id = id;
	selection->sender = memory_copy_string(sender);
	selection->recipient = memory_copy_string(recipient);
	selection->destination = memory_copy_string(destination);
	selection->state = memory_copy_string(state);
	selection->older_than_ms = (int64_t)(older_than_seconds < (uint64_t)SECONDS_MAX ? older_than_seconds : SECONDS_MAX) *
	    1000;
}

void
selection_free(struct selection *selection)
{
	free(selection->sender);
	free(selection->recipient);
	free(selection->destination);
	free(selection->state);
}

static bool
address_matches(const char *wanted, const char *address)
{
	const char *at;

	if (wanted[0] == '\0')
		return true;
	if (strcmp(wanted, "<>") == 0)
		return address[0] == '\0';
	if (wanted[0] == '@') {
		at = strrchr(address, '@');
		return at != NULL && strcasecmp(at, wanted) == 0;
	}
	return strcasecmp(wanted, address) == 0;
}

static bool
destination_matches(const char *wanted, const struct envelope_recipient *recipient)
{
	const char *transport = transport_name(recipient->transport);
	size_t length = strlen(transport);

	if (wanted[0] == '\0')
		return true;
	if (recipient->next_hop == NULL)
		return false;
	if (strcasecmp(wanted, recipient->next_hop) == 0)
		return true;
	return strncasecmp(wanted, transport, length) == 0 && (wanted[length] == '\0' ?
	    recipient->next_hop[0] == '\0' : wanted[length] == ':' && strcasecmp(wanted + length + 1, recipient->next_hop) == 0);
}

static bool
state_matches(const char *wanted, const struct envelope_recipient *recipient)
{
	if (wanted[0] == '\0' || strcmp(wanted, "held") == 0)
		return true;
	if (strcmp(wanted, "deferred") == 0)
		return recipient->state == RECIPIENT_WAITING && recipient->attempts > 0;
	return strcmp(wanted, recipient_state_name(recipient->state)) == 0;
}

bool
selection_matches(const struct selection *selection, const struct envelope *envelope, bool held, int64_t now_wall_ms)
{
	size_t i;

	if ((selection->id != 0 && selection->id != envelope->id) || !address_matches(selection->sender, envelope->sender) ||
	    (selection->older_than_ms > 0 && now_wall_ms - envelope->arrival_ms < selection->older_than_ms) ||
	    (strcmp(selection->state, "held") == 0 && !held))
		return false;
	if (selection->recipient[0] == '\0' && selection->destination[0] == '\0' && selection->state[0] == '\0')
		return true;
	for (i = 0; i < envelope->recipient_count; i++) {
		const struct envelope_recipient *recipient = &envelope->recipients[i];

		if (address_matches(selection->recipient, recipient->address) &&
		    destination_matches(selection->destination, recipient) && state_matches(selection->state, recipient))
			return true;
	}
	return false;
}
