/* walk - see walk.h */
#include "smtpd/controls/walk.h"

const struct control controls[CONTROL_COUNT] = {
#define CONTROL(symbol, stage, word, function, meaning) { CONTROL_AT_##stage, word, function, meaning },
#include "smtpd/controls/order.def"
#undef CONTROL
};

void
control_walk_start(struct control_walk *walk, enum control_stage stage, struct control_standing standing)
{
	*walk = (struct control_walk){ .stage = stage, .standing = standing };
}

/* What the controls behind this one have to know of it. */
static void
note_standing(struct control_standing *standing, enum control_verdict verdict)
{
	if (verdict == CONTROL_EXEMPTS)
		standing->is_exempt = true;
	else if (verdict == CONTROL_HITS)
		standing->is_listed = true;
}

enum control_verdict
control_walk_on(struct control_walk *walk, struct control_question *question, struct control_judgement *judgement_out)
{
	question->standing = &walk->standing;
	for (; walk->next < CONTROL_COUNT; walk->next++) {
		if (controls[walk->next].stage != walk->stage)
			continue;
		*judgement_out = (struct control_judgement){ .rule = "" };
		controls[walk->next].judge(question, judgement_out);
		if (judgement_out->verdict == CONTROL_NEEDS)
			return CONTROL_NEEDS;
		note_standing(&walk->standing, judgement_out->verdict);
		if (walk->judged != NULL)
			walk->judged(walk->context, (enum control_number)walk->next, judgement_out);
		if (judgement_out->verdict == CONTROL_REFUSES) {
			walk->next = CONTROL_COUNT;
			return CONTROL_REFUSES;
		}
	}
	return CONTROL_PASSES;
}
