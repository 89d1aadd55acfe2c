/* message_view - a message of MAIL.BOX as text for people and as JSON for programs */
#ifndef MASTER_MATADOR_MESSAGE_VIEW_H
#define MASTER_MATADOR_MESSAGE_VIEW_H

#include "common/base/buffer.h"
#include "qmgr/store/store.h"

/* The heading of the list. */
void message_view_heading(struct buffer *out);
/* A line for the message and one for each recipient that is not done. */
void message_view_list(struct buffer *out, const struct store_item *item);
/* Everything that is known. */
void message_view_whole(struct buffer *out, const struct store_item *item);
/* One object, one line. */
void message_view_json(struct buffer *out, const struct store_item *item);
/* The fields that an export has in front of the content. */
void message_view_envelope_fields(struct buffer *out, const struct store_item *item);

#endif
