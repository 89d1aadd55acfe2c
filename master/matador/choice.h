/* choice - the options that say which messages of MAIL.BOX a queue command means; qmgr/selection.h matches them */
#ifndef MASTER_MATADOR_CHOICE_H
#define MASTER_MATADOR_CHOICE_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"

struct choice {
	uint64_t id;			/* 0: any */
	const char *sender;		/* "" in each text: any; all borrowed */
	const char *recipient;
	const char *destination;
	const char *state;
	uint64_t older_than;		/* seconds; 0: any */
	bool given;			/* an option was there */
};

#define CHOICE_INITIALIZER { .sender = "", .recipient = "", .destination = "", .state = "" }
/* Rows for getopt_long(3); their values are choice_take_option()'s. */
#define CHOICE_OPTIONS \
	{ "id", required_argument, NULL, 'I' }, { "sender", required_argument, NULL, 'S' }, \
	{ "recipient", required_argument, NULL, 'R' }, { "destination", required_argument, NULL, 'D' }, \
	{ "state", required_argument, NULL, 'T' }, { "older-than", required_argument, NULL, 'O' }

/* Takes one option of the above with its argument. -1 and an error when the argument makes no sense. */
int choice_take_option(struct choice *choice, int option, const char *argument, struct error *error);

#endif
