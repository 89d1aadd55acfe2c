/* controls - see controls.h */
#include "smtpd/controls/controls.h"

#include "common/base/attributes.h"

static const struct {
	enum control_stage stage;
	control_function *judge;
} controls[] = {
#define CONTROL(symbol, stage, function, meaning) { CONTROL_AT_##stage, function },
#include "smtpd/controls/controls.def"
#undef CONTROL
};

struct control_judgement
controls_judge(enum control_stage stage, const struct control_question *question, size_t *next)
{
	struct control_judgement judgement = { CONTROL_PASSES, REPLY_NONE, "" };

	while (*next < ARRAY_COUNT(controls) && judgement.verdict == CONTROL_PASSES) {
		size_t current = (*next)++;

		if (controls[current].stage == stage)
			judgement = controls[current].judge(question);
	}
	return judgement;
}
