/* transaction - see transaction.h */
#include "smtp/transaction.h"

void
transaction_judge(struct transaction *transaction, size_t index, const struct reply_judgement *judgement)
{
	if (transaction->progress[index] == PROGRESS_JUDGED)
		return;
	transaction->progress[index] = PROGRESS_JUDGED;
	transaction->judge(transaction->context, transaction->recipients[index], judgement);
}

void
transaction_judge_all(struct transaction *transaction, enum recipient_progress progress,
    const struct reply_judgement *judgement)
{
	size_t i;

	for (i = 0; i < transaction->count; i++)
		if (transaction->progress[i] == progress)
			transaction_judge(transaction, i, judgement);
}
