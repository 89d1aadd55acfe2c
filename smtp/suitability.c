/* suitability - see suitability.h */
#include "smtp/suitability.h"

#include <string.h>

static void
refuse_all(struct transaction *transaction, enum failure_class failure, const char *status, const char *text)
{
	struct reply_judgement judgement;

	judgement_set(&judgement, DELIVERY_FAILED, failure, status, "%s", text);
	transaction_judge_all(transaction, PROGRESS_WAITING, &judgement);
}

static void
defer_unreadable(struct transaction *transaction, const struct error *error)
{
	struct reply_judgement judgement;

	judgement_set(&judgement, DELIVERY_DEFERRED, FAILURE_NONE, "4.3.0", "%s", error->text);
	transaction_judge_all(transaction, PROGRESS_WAITING, &judgement);
}

static void
check_addresses(struct transaction *transaction)
{
	struct reply_judgement judgement;
	size_t i;

	if (!command_address_is_safe(transaction->envelope->sender))
		refuse_all(transaction, FAILURE_TRANSFER, "5.1.7", "the sender's address cannot be sent over SMTP");
	judgement_set(&judgement, DELIVERY_FAILED, FAILURE_TRANSFER, "5.1.3",
	    "the recipient's address cannot be sent over SMTP");
	for (i = 0; i < transaction->count; i++)
		if (!command_address_is_safe(recipient_wire_address(transaction->recipients[i])))
			transaction_judge(transaction, i, &judgement);
}

static void
check_size(struct transaction *transaction, const struct capabilities *capabilities)
{
	uint64_t length = transaction->content.length;
	struct reply_judgement judgement;

	if (!capabilities->size || capabilities->size_limit == 0 || length <= capabilities->size_limit)
		return;
	judgement_set(&judgement, DELIVERY_FAILED, FAILURE_SIZE, "5.3.4", "the message has %llu octets, the host takes %llu",
	    (unsigned long long)length, (unsigned long long)capabilities->size_limit);
	transaction_judge_all(transaction, PROGRESS_WAITING, &judgement);
}

/* Octets above 127 in a message that was announced to have them need a host that offers 8BITMIME. */
static void
check_eight_bit(struct transaction *transaction, const struct capabilities *capabilities)
{
	struct error error = ERROR_INITIALIZER;
	int found;

	if (transaction->envelope->body == BODY_BINARYMIME)
		refuse_all(transaction, FAILURE_TRANSFER, "5.6.3", "the message is binary and cannot be sent over SMTP");
	if (transaction->envelope->body != BODY_8BITMIME || capabilities->eight_bit_mime)
		return;
	found = content_source_has_8bit(&transaction->content, false, &error);
	if (found == -1)
		defer_unreadable(transaction, &error);
	else if (found == 1)
		refuse_all(transaction, FAILURE_TRANSFER, "5.6.3",
		    "the message has 8-bit octets, and the host does not offer 8BITMIME");
}

/* A host without SMTPUTF8: everyone fails when sender or header need it, else those whose address does. */
static void
refuse_utf8(struct transaction *transaction)
{
	struct reply_judgement judgement;
	struct error error = ERROR_INITIALIZER;
	int needed = !address_is_ascii(transaction->envelope->sender);
	size_t i;

	if (!needed && transaction->envelope->smtputf8)
		needed = content_source_has_8bit(&transaction->content, true, &error);
	if (needed == -1) {
		defer_unreadable(transaction, &error);
		return;
	}
	judgement_set(&judgement, DELIVERY_FAILED, FAILURE_TRANSFER, "5.6.7",
	    "the message needs SMTPUTF8, which the host does not offer");
	for (i = 0; i < transaction->count; i++)
		if (needed || !address_is_ascii(recipient_wire_address(transaction->recipients[i])))
			transaction_judge(transaction, i, &judgement);
}

static bool
any_address_is_utf8(const struct transaction *transaction)
{
	size_t i;

	for (i = 0; i < transaction->count; i++)
		if (!address_is_ascii(recipient_wire_address(transaction->recipients[i])))
			return true;
	return !address_is_ascii(transaction->envelope->sender);
}

void
suitability_check(struct transaction *transaction, const struct capabilities *capabilities,
    struct mail_parameters *parameters_out)
{
	check_addresses(transaction);
	check_size(transaction, capabilities);
	check_eight_bit(transaction, capabilities);
	if (!capabilities->smtputf8)
		refuse_utf8(transaction);
	*parameters_out = (struct mail_parameters){
		.size = capabilities->size,
		.octets = transaction->content.length,
		.eight_bit = capabilities->eight_bit_mime && transaction->envelope->body == BODY_8BITMIME,
		.smtputf8 = capabilities->smtputf8 &&
		    (transaction->envelope->smtputf8 || any_address_is_utf8(transaction)),
		.dsn = capabilities->dsn,
	};
}
