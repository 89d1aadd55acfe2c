/*
 * report - writes delivery status notifications: RFC 3464, 3461, 6522, and 6533 for internationalised mail
 *
 * Whatever a stranger can put into a report (addresses, replies, the header of his message) stays inside the line
 * and the part where it belongs. A report is bounded however many recipients it is about.
 */
#ifndef ROUTER_REPORT_H
#define ROUTER_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/conf/settings.h"
#include "common/ipc/route.h"
#include "common/mail/envelope.h"

#define REPORT_RECIPIENTS_MAX 1000	/* told one by one; more are counted */
#define REPORT_CONTENT_MAX 1048576

/*
 * Writes the report about original (only the recipients that it concerns) with its header. False when none is due:
 * the sender is null, the message is a report, or nobody wanted it (NOTIFY). Otherwise *envelope_out (initialised
 * by this call) and content hold the report.
 */
bool report_write(const struct settings *settings, enum report_kind kind, const struct envelope *original,
    const char *header, size_t header_length, int64_t now_ms, struct envelope *envelope_out,
    struct buffer *content);

#endif
