/* choice - see choice.h */
#include "master/matador/choice.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/identifier.h"
#include "common/mail/envelope.h"

/* "90", "90s", "15m", "4h", "2d"; 0 for anything else. */
static uint64_t
parse_age(const char *text)
{
	static const struct {
		const char *unit;
		unsigned seconds;
	} units[] = { { "", 1 }, { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 } };
	char *end;
	unsigned long long number = strtoull(text, &end, 10);

	if (end == text || text[0] == '-' || number > UINT64_MAX / 86400 / 1000)
		return 0;
	for (size_t i = 0; i < ARRAY_COUNT(units); i++)
		if (strcmp(end, units[i].unit) == 0)
			return number * units[i].seconds;
	return 0;
}

static bool
is_state(const char *text)
{
	if (strcmp(text, "held") == 0 || strcmp(text, "deferred") == 0)
		return true;
	for (enum recipient_state state = 0; state < RECIPIENT_STATE_COUNT; state++)
		if (strcmp(text, recipient_state_name(state)) == 0)
			return true;
	return false;
}

int
choice_take_option(struct choice *choice, int option, const char *argument, struct error *error)
{
	switch (option) {
	case 'I':
		if (!identifier_parse(argument, &choice->id) || choice->id == 0)
			return error_set(error, ERROR_INVALID, "%s is not an id", argument);
		break;
	case 'S':
		choice->sender = argument;
		break;
	case 'R':
		choice->recipient = argument;
		break;
	case 'D':
		choice->destination = argument;
		break;
	case 'T':
		choice->state = argument;
		if (!is_state(argument))
			return error_set(error, ERROR_INVALID, "%s is not a state; allowed: new, waiting, deferred, held, delivered, failed, expanded",
			    argument);
		break;
	case 'O':
		choice->older_than = parse_age(argument);
		if (choice->older_than == 0)
			return error_set(error, ERROR_INVALID, "%s is not a time; allowed: a number with s, m, h or d", argument);
		break;
	default:
		return error_set(error, ERROR_INVALID, "unknown option");
	}
	choice->given = true;
	return 0;
}
