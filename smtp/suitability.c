/* suitability - see suitability.h */
#include "smtp/suitability.h"

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

/* RFC 6152 section 3: a gateway may convert the body to 7-bit; what it may not touch fails. */
static struct downgrade *
convert_eight_bit(struct transaction *transaction)
{
	struct downgrade *downgrade = downgrade_new();
	struct error error = ERROR_INITIALIZER;
	int possible = content_source_survey(&transaction->content, downgrade, &error);

	if (possible == 1)
		return downgrade;
	if (possible == -1)
		defer_unreadable(transaction, &error);
	else
		refuse_all(transaction, FAILURE_TRANSFER, "5.6.3",
		    "the body has 8-bit octets that cannot be converted, and the host does not offer 8BITMIME");
	downgrade_free(&downgrade);
	return NULL;
}

/* 8-bit octets in the body need 8BITMIME, whether announced or not. 1: there are some, or may be; -1: unreadable. */
static int
find_eight_bit(struct transaction *transaction, const struct capabilities *capabilities,
    struct downgrade **downgrade_out)
{
	struct error error = ERROR_INITIALIZER;
	int found = 1;

	*downgrade_out = NULL;
	if (transaction->envelope->body == BODY_BINARYMIME)
		refuse_all(transaction, FAILURE_TRANSFER, "5.6.3", "the message is binary and cannot be sent over SMTP");
	if (transaction->envelope->body == BODY_7BIT || !capabilities->eight_bit_mime)
		found = content_source_has_8bit(&transaction->content, CONTENT_BODY, &error);
	if (found == -1)
		defer_unreadable(transaction, &error);
	else if (found == 1 && !capabilities->eight_bit_mime)
		*downgrade_out = convert_eight_bit(transaction);
	return found;
}

/* Whether the header is international (RFC 6532): only where the sender said so, for others it is just 8-bit. */
static bool
header_is_international(struct transaction *transaction)
{
	struct error error = ERROR_INITIALIZER;
	int found;

	if (!transaction->envelope->smtputf8)
		return false;
	found = content_source_has_8bit(&transaction->content, CONTENT_HEADER, &error);
	if (found == -1)
		defer_unreadable(transaction, &error);
	return found == 1;
}

static bool
any_address_is_international(const struct transaction *transaction)
{
	size_t i;

	for (i = 0; i < transaction->count; i++)
		if (transaction->progress[i] == PROGRESS_WAITING &&
		    !address_is_ascii(recipient_wire_address(transaction->recipients[i])))
			return true;
	return !address_is_ascii(transaction->envelope->sender);
}

static bool
can_be_ascii(const char *address)
{
	char ascii[ADDRESS_TEXT_MAX];

	return address_is_ascii(address) || address_to_ascii(address, ascii);
}

/*
 * A host without SMTPUTF8: all recipients fail when sender or header need it, else those whose own address does. An
 * address that is international in its domain alone needs it not: it goes out in A-labels.
 */
static void
refuse_international(struct transaction *transaction, bool header)
{
	struct reply_judgement judgement;
	size_t i;

	if (header)
		refuse_all(transaction, FAILURE_TRANSFER, "5.6.7",
		    "the header needs SMTPUTF8, which the host does not offer");
	if (!can_be_ascii(transaction->envelope->sender))
		refuse_all(transaction, FAILURE_TRANSFER, "5.6.7",
		    "the sender's address needs SMTPUTF8, which the host does not offer");
	judgement_set(&judgement, DELIVERY_FAILED, FAILURE_TRANSFER, "5.6.7",
	    "the recipient's address needs SMTPUTF8, which the host does not offer");
	for (i = 0; i < transaction->count; i++)
		if (!can_be_ascii(recipient_wire_address(transaction->recipients[i])))
			transaction_judge(transaction, i, &judgement);
}

void
suitability_check(struct transaction *transaction, const struct capabilities *capabilities,
    struct mail_parameters *parameters_out, struct downgrade **downgrade_out)
{
	bool header, eight_bit;

	check_addresses(transaction);
	check_size(transaction, capabilities);
	eight_bit = find_eight_bit(transaction, capabilities, downgrade_out) == 1;
	header = header_is_international(transaction);
	if (!capabilities->smtputf8)
		refuse_international(transaction, header);
	*parameters_out = (struct mail_parameters){
		/* What is converted has another size, which nobody knows yet. */
		.size = capabilities->size && *downgrade_out == NULL,
		.octets = transaction->content.length,
		.eight_bit = capabilities->eight_bit_mime && eight_bit,
		.smtputf8 = capabilities->smtputf8 && (header || any_address_is_international(transaction)),
		.dsn = capabilities->dsn,
	};
}
