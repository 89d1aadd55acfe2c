/*
 * spf_macro - the macro strings of SPF (RFC 7208 section 7): read, judged, expanded
 *
 * Pure functions over octets of strangers. What is read once is both what is judged and what is expanded, so that no macro
 * is expanded that was not found to be well-formed.
 */
#ifndef POLICY_SPF_MACRO_H
#define POLICY_SPF_MACRO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"

#define SPF_NAME_SIZE 256		/* a name as text with its NUL */
#define SPF_EXPANSION_MAX 8192		/* octets of an expansion, and of the values it is made of; what is longer is none */
#define SPF_VALUE_MAX 1344		/* octets of what a letter stands for: a local part of 1024 and a domain */

/* Octets that are lent; a length of 0 is also "none". */
struct spf_text {
	const char *data;
	size_t length;
};

enum spf_macro_piece_kind { SPF_PIECE_END, SPF_PIECE_LITERAL, SPF_PIECE_ESCAPE, SPF_PIECE_MACRO, SPF_PIECE_MALFORMED };

struct spf_macro_piece {
	enum spf_macro_piece_kind kind;
	char text[4];			/* of a literal or an escape ("%%", "%_", "%-"): what it stands for */
	char letter;			/* of a macro, in lower case */
	bool is_encoded;		/* the letter is a capital: the result is URL-encoded */
	bool is_reversed;
	unsigned parts;			/* so many on the right are kept; 0: all */
	char delimiters[8];
};

/* Takes the first piece off rest. */
void spf_macro_next(struct spf_text *rest, struct spf_macro_piece *piece);

/* The letters that stand for something in explanations only; elsewhere they are errors. */
bool spf_macro_is_for_explanations(char letter);

/* Whether a well-formed text asks for this letter, in lower case. */
bool spf_macro_uses(struct spf_text text, char letter);

struct spf_macro_values {
	const char *sender;		/* s */
	const char *local_part;		/* l */
	const char *sender_domain;	/* o */
	const char *helo;		/* h */
	const char *domain;		/* d */
	const char *validated;		/* p: the client's validated name, or "unknown" */
	const char *receiver;		/* r */
	int family;			/* AF_INET, AF_INET6: i, c, v */
	uint8_t address[16];
	int64_t now;			/* t: seconds since 1970 */
};

/* Appends what a text stands for. False: it is malformed, too long, or made of too much: the work is bounded, not only the result. */
bool spf_macro_expand(struct spf_text text, const struct spf_macro_values *values, struct buffer *out);

/*
 * The name that an expansion is: without a last dot, its labels removed from the left until it has no more than 253 octets
 * (section 7.3). False: it is no name that can be asked for (section 4.3: an empty label, one of more than 63 octets, octets above
 * 127; or too many that need an escape).
 */
bool spf_name_make(struct spf_text expansion, char name[static SPF_NAME_SIZE]);
/* Such a name as it is asked for: '\DDD' for what would mean something else, or cannot be printed. */
void spf_name_escape(const char *name, char escaped[static SPF_NAME_SIZE]);

#endif
