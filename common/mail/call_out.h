/*
 * call_out - what smtpd, qmgr and smtp say to each other about a recipient whom the next hop is asked about
 */
#ifndef COMMON_MAIL_CALL_OUT_H
#define COMMON_MAIL_CALL_OUT_H

#define CALL_OUT_TEXT_MAX 300	/* octets of a host's reply; the rest is cut */

enum call_out_outcome {
	CALL_OUT_SILENT,	/* nobody could say */
	CALL_OUT_ACCEPTED,	/* by the host that the mail goes to */
	CALL_OUT_DENIED,
	CALL_OUT_NOBODY_TO_ASK,	/* the mail does not leave by SMTP or LMTP, or goes nowhere: another control's matter */
};

#endif
