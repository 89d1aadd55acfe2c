/* explain_view - what router told of a recipient, as text for people and as JSON for programs */
#ifndef MASTER_MATADOR_EXPLAIN_VIEW_H
#define MASTER_MATADOR_EXPLAIN_VIEW_H

#include "common/base/buffer.h"
#include "master/matador/route_question.h"

void explain_view_text(struct buffer *out, const struct route_told *told);
/* One object, one line. */
void explain_view_json(struct buffer *out, const struct route_told *told);

#endif
