/* session_view - what the listener told of a session, as text for people and as JSON for programs */
#ifndef MASTER_MATADOR_SESSION_VIEW_H
#define MASTER_MATADOR_SESSION_VIEW_H

#include "common/base/buffer.h"
#include "master/matador/session_question.h"

void session_view_text(struct buffer *out, const struct inspection_question *question, const struct told_session *told);
/* One object, one line. */
void session_view_json(struct buffer *out, const struct inspection_question *question, const struct told_session *told);

#endif
