/* transaction - see transaction.h */
#include "smtpd/transaction.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/memory.h"

struct transaction *
transaction_new(void)
{
	struct transaction *transaction = memory_new(1, sizeof(*transaction));

	envelope_init(&transaction->envelope);
	transaction->began_ms = clock_monotonic_ms();
	transaction->body_file = -1;
	transaction->sender.facts.address = &transaction->sender.address;
	return transaction;
}

static void
drop_content(struct transaction *transaction)
{
	buffer_free(&transaction->data);
	transaction->lent.length = 0;
	if (transaction->body_file >= 0)
		close(transaction->body_file);
	transaction->body_file = -1;
}

static void
free_trace(struct transaction_trace *trace)
{
	free(trace->client_name);
	free(trace->dnsbl_site);
	free(trace->dnswl_site);
	free(trace->spf_text);
}

void
transaction_free(struct transaction **transaction)
{
	if (*transaction == NULL)
		return;
	drop_content(*transaction);
	envelope_free(&(*transaction)->envelope);
	known_sender_free(&(*transaction)->sender);
	free_trace(&(*transaction)->trace);
	free((*transaction)->refusal_text);
	free((*transaction)->recipient_hashes);
	free(*transaction);
	*transaction = NULL;
}

void
transaction_refuse(struct transaction *transaction, enum reply reply, const char *text)
{
	if (transaction->refusal != REPLY_NONE)
		return;
	transaction->refusal = reply;
	transaction->refusal_text = memory_copy_string(text);
	drop_content(transaction);
}

static char
lower(char letter)
{
	return letter >= 'A' && letter <= 'Z' ? (char)(letter - 'A' + 'a') : letter;
}

/* FNV-1a without case; never 0, which marks a free place. */
static uint32_t
hash_address(const char *text)
{
	uint32_t hash = 2166136261u;

	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)lower(*text)) * 16777619u;
	return hash == 0 ? 1 : hash;
}

static void
put_hash(uint32_t *hashes, size_t capacity, uint32_t hash)
{
	size_t place = hash & (capacity - 1);

	while (hashes[place] != 0)
		place = (place + 1) & (capacity - 1);
	hashes[place] = hash;
}

static bool
has_hash(const struct transaction *transaction, uint32_t hash)
{
	size_t mask = transaction->hash_capacity - 1;

	if (transaction->hash_capacity == 0)
		return false;
	for (size_t place = hash & mask; transaction->recipient_hashes[place] != 0; place = (place + 1) & mask)
		if (transaction->recipient_hashes[place] == hash)
			return true;
	return false;
}

/* The table is never more than half full: it has one entry a recipient at most. */
static void
note_hash(struct transaction *transaction, uint32_t hash)
{
	size_t capacity = transaction->hash_capacity;

	if ((transaction->envelope.recipient_count + 1) * 2 > capacity) {
		size_t larger = capacity == 0 ? 16 : capacity * 2;
		uint32_t *hashes = memory_new(larger, sizeof(*hashes));

		for (size_t i = 0; i < capacity; i++)
			if (transaction->recipient_hashes[i] != 0)
				put_hash(hashes, larger, transaction->recipient_hashes[i]);
		free(transaction->recipient_hashes);
		transaction->recipient_hashes = hashes;
		transaction->hash_capacity = larger;
	}
	put_hash(transaction->recipient_hashes, transaction->hash_capacity, hash);
}

/* Canonical text has its domain in lower case, so an exact comparison is one of local parts. */
static bool
has_recipient(const struct transaction *transaction, const char *text, uint32_t hash, bool domain_is_local)
{
	const struct envelope *envelope = &transaction->envelope;

	if (!has_hash(transaction, hash))
		return false;
	for (size_t i = 0; i < envelope->recipient_count; i++) {
		const char *known = envelope->recipients[i].address;

		if (domain_is_local ? strcasecmp(known, text) == 0 : strcmp(known, text) == 0)
			return true;
	}
	return false;
}

struct envelope_recipient *
transaction_add_recipient(struct transaction *transaction, const struct address *address, bool domain_is_local)
{
	uint32_t hash = hash_address(address->text);

	if (has_recipient(transaction, address->text, hash, domain_is_local))
		return NULL;
	note_hash(transaction, hash);
	return envelope_add_recipient(&transaction->envelope, address->text);
}

bool
transaction_is_full(const struct transaction *transaction, const struct address *address, bool domain_is_local,
    size_t limit)
{
	return transaction->envelope.recipient_count >= limit &&
	    !has_recipient(transaction, address->text, hash_address(address->text), domain_is_local);
}

void
transaction_count(struct transaction *transaction, size_t *total)
{
	*total -= transaction->counted;
	transaction->counted = transaction->data.capacity;
	*total += transaction->counted;
}
