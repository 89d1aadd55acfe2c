/* dns_list_weight - see dns_list_weight.h */
#include "common/conf/dns_list_weight.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* "2" or "2-9", up to end; moves *text behind it. */
static bool
parse_range(const char **text, uint8_t *low_out, uint8_t *high_out)
{
	unsigned long bounds[2];

	for (unsigned i = 0; i < 2; i++) {
		char *after;

		if (!isdigit((unsigned char)**text))
			return false;
		bounds[i] = strtoul(*text, &after, 10);
		if (bounds[i] > 255 || after - *text > 3)
			return false;
		*text = after;
		if (i == 0 && **text != '-') {
			bounds[1] = bounds[0];
			break;
		}
		if (i == 0)
			++*text;
	}
	*low_out = (uint8_t)bounds[0];
	*high_out = (uint8_t)bounds[1];
	return bounds[0] <= bounds[1];
}

static bool
parse_answer(const char *text, const char *end, struct dns_list_weight *weight)
{
	for (unsigned octet = 0; octet < 4; octet++) {
		if (octet > 0 && *text++ != '.')
			return false;
		if (!parse_range(&text, &weight->low[octet], &weight->high[octet]))
			return false;
	}
	return text == end;
}

static bool
parse_zone(const char *text, size_t length, struct dns_list_weight *weight)
{
	if (length == 0 || length >= sizeof(weight->zone) || text[0] == '.' || text[length - 1] == '.' ||
	    memchr(text, '.', length) == NULL)
		return false;
	for (size_t i = 0; i < length; i++) {
		unsigned char octet = (unsigned char)text[i];

		if (!isalnum(octet) && strchr("-._", octet) == NULL)
			return false;
		weight->zone[i] = (char)tolower(octet);
	}
	weight->zone[length] = '\0';
	return strstr(weight->zone, "..") == NULL;
}

int
dns_list_weight_parse(const char *text, struct dns_list_weight *weight_out, struct error *error)
{
	const char *star = strrchr(text, '*'), *equals = strchr(text, '=');
	char *end;
	long weight;

	*weight_out = (struct dns_list_weight){ .low = { 127 }, .high = { 127, 255, 255, 255 } };
	if (star == NULL || (equals != NULL && equals > star))
		return error_set(error, ERROR_INVALID, "an entry ends with * and a weight");
	if (!parse_zone(text, (size_t)((equals != NULL ? equals : star) - text), weight_out))
		return error_set(error, ERROR_INVALID, "it begins with the name of a zone");
	if (equals != NULL && (!parse_answer(equals + 1, star, weight_out) || weight_out->low[0] != 127 ||
	    weight_out->high[0] != 127))
		return error_set(error, ERROR_INVALID, "an answer is an address of 127.0.0.0/8, such as 127.0.0.2 or 127.0.0.2-9");
	weight = strtol(star + 1, &end, 10);
	if (star[1] == '\0' || isspace((unsigned char)star[1]) || *end != '\0' || weight < -DNS_LIST_WEIGHT_MAX ||
	    weight > DNS_LIST_WEIGHT_MAX)
		return error_set(error, ERROR_INVALID, "a weight is a number from -%d to %d", DNS_LIST_WEIGHT_MAX, DNS_LIST_WEIGHT_MAX);
	weight_out->weight = (int)weight;
	return 0;
}

bool
dns_list_weight_matches(const struct dns_list_weight *weight, struct in_addr answer)
{
	const uint8_t *octets = (const uint8_t *)&answer.s_addr;

	for (unsigned i = 0; i < 4; i++)
		if (octets[i] < weight->low[i] || octets[i] > weight->high[i])
			return false;
	return true;
}
