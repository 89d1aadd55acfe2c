/*
 * compile - makes a catalogue of the Person, Group and Mail-In Database documents, a slice at a time
 *
 * Slices are short, so that one thread goes on answering from the old catalogue meanwhile. It holds the settings
 * that it began with.
 */
#ifndef DIRECTORY_COMPILE_H
#define DIRECTORY_COMPILE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"
#include "common/conf/settings.h"
#include "directory/catalogue.h"

struct compilation;

struct compile_counts {
	size_t people;
	size_t groups;
	size_t mail_in;
};

/* NULL and an error when the database cannot be made. */
struct compilation *compile_begin(const struct settings *settings, const char *path, struct error *error);
/* Compiles about that many documents more. 1: it is complete, 0: call again, -1: an error, free it. */
int compile_continue(struct compilation *compilation, size_t documents, struct error *error);
/* The complete catalogue; the reference is the caller's. */
struct catalogue *compile_take(struct compilation *compilation, struct compile_counts *counts_out);
void compile_free(struct compilation **compilation);

/* The key of an Internet address: without case, its domain in A-labels. False when it is not an address. */
bool compile_address_key(const char *address, char key[static 512]);

#endif
