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
	selection->or_domain = false;
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

/* Whether text is the host of a next hop: without its port, with or without brackets. */
static bool
is_host_of(const char *text, const char *next_hop)
{
	const char *end = next_hop[0] == '[' ? strchr(next_hop, ']') : next_hop + strcspn(next_hop, ":");
	size_t length = strlen(text);

	if (end == NULL)
		return false;
	if (next_hop[0] == '[') {
		if ((size_t)(end + 1 - next_hop) == length && strncasecmp(text, next_hop, length) == 0)
			return true;
		next_hop++;
	}
	return (size_t)(end - next_hop) == length && length > 0 && strncasecmp(text, next_hop, length) == 0;
}

bool
selection_is_destination(const char *text, const struct envelope_recipient *recipient, bool or_domain)
{
	const char *transport = transport_name(recipient->transport), *at = strrchr(recipient->address, '@');
	size_t length = strlen(transport);

	if (recipient->transport == TRANSPORT_NONE || recipient->next_hop == NULL)
		return false;
	if (strcasecmp(text, recipient->next_hop) == 0 || is_host_of(text, recipient->next_hop))
		return true;
	if (or_domain && recipient->transport != TRANSPORT_LOCAL && at != NULL && strcasecmp(text, at + 1) == 0)
		return true;
	return strncasecmp(text, transport, length) == 0 && (text[length] == '\0' ?
	    recipient->next_hop[0] == '\0' : text[length] == ':' && strcasecmp(text + length + 1, recipient->next_hop) == 0);
}

static bool
destination_matches(const struct selection *selection, const struct envelope_recipient *recipient)
{
	return selection->destination[0] == '\0' ||
	    selection_is_destination(selection->destination, recipient, selection->or_domain);
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
		    destination_matches(selection, recipient) && state_matches(selection->state, recipient))
			return true;
	}
	return false;
}
