/*
 * suitability - may this message go to this host as it is?
 *
 * What a host cannot take is judged before anything is said to it: a message over its size, 8-bit octets where
 * 8BITMIME is not offered and they cannot be converted, international addresses and headers where SMTPUTF8 is not,
 * addresses that no command can carry.
 */
#ifndef SMTP_SUITABILITY_H
#define SMTP_SUITABILITY_H

#include "smtp/capabilities.h"
#include "smtp/commands.h"
#include "smtp/transaction.h"

/*
 * Fills the parameters of MAIL, and judges the recipients that cannot be served; the others stay PROGRESS_WAITING.
 * *downgrade_out is the caller's then; NULL where the content goes out as it is.
 */
void suitability_check(struct transaction *transaction, const struct capabilities *capabilities,
    struct mail_parameters *parameters_out, struct downgrade **downgrade_out);

#endif
