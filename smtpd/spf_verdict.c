/* spf_verdict - see spf_verdict.h */
#include "smtpd/spf_verdict.h"

const char *
spf_verdict_word(enum spf_verdict verdict)
{
	static const char *const words[SPF_VERDICT_COUNT] = { [SPF_VERDICT_NONE] = "none",
		[SPF_VERDICT_NEUTRAL] = "neutral", [SPF_VERDICT_PASS] = "pass", [SPF_VERDICT_FAIL] = "fail",
		[SPF_VERDICT_SOFTFAIL] = "softfail", [SPF_VERDICT_TEMPERROR] = "temperror",
		[SPF_VERDICT_PERMERROR] = "permerror" };

	return words[verdict];
}
