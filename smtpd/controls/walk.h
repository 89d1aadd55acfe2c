/*
 * walk - asks the controls of a stage in their order
 *
 * It stops where a control refuses or needs a fact; once that is known it goes on with the same control.
 */
#ifndef SMTPD_CONTROLS_WALK_H
#define SMTPD_CONTROLS_WALK_H

#include "smtpd/controls/control.h"

struct control_walk {
	enum control_stage stage;
	size_t next;				/* the control to be asked next: a control_number */
	struct control_standing standing;
	/* Told of every judgement but CONTROL_NEEDS, once each; may be NULL. */
	void (*judged)(void *context, enum control_number number, const struct control_judgement *judgement);
	void *context;
};

/* Begins the walk over a stage. standing is what an earlier walk over stage CLIENT found out, all false before it. */
void control_walk_start(struct control_walk *walk, enum control_stage stage, struct control_standing standing);

/*
 * Asks on. CONTROL_PASSES: the stage is through. CONTROL_REFUSES: *judgement_out says how; the walk is over.
 * CONTROL_NEEDS: *judgement_out names the fact; to be called again when it is known. question->standing is set by the
 * walk.
 */
enum control_verdict control_walk_on(struct control_walk *walk, struct control_question *question,
    struct control_judgement *judgement_out);

#endif
