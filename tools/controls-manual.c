/*
 * controls-manual - prints matador-controls(5) from the table of the inbound controls
 *
 * Run by the Makefile; in which order the listener judges and what the manual page tells cannot disagree.
 */
#include <stdio.h>
#include <string.h>

static const struct {
	const char *stage, *word, *meaning;
} controls[] = {
#define CONTROL(symbol, stage, word, function, meaning) { #stage, word, meaning },
#include "smtpd/controls/order.def"
#undef CONTROL
};

static const struct {
	const char *word, *meaning;
} facts[] = {
#define FACT(symbol, scope, word, meaning) { word, meaning },
#include "smtpd/controls/facts.def"
#undef FACT
};

static const struct {
	const char *stage, *title, *meaning;
} stages[] = {
	{ "CONNECT", "Before the greeting", "A refusal is spoken in the greeting's place and ends the session." },
	{ "CLIENT", "Who the client is", "Judged at the first MAIL, when it is known who authenticated, and again when that changes.\n"
	    "A refusal is spoken at each MAIL; the session goes on." },
	{ "MAIL", "The MAIL command", "The sender is judged." },
	{ "RCPT", "The RCPT command", "Each recipient is judged for itself." },
};

static const char head[] =
    ".Dd $Mdocdate$\n"
    ".Dt MATADOR-CONTROLS 5\n"
    ".Os\n"
    ".Sh NAME\n"
    ".Nm matador-controls\n"
    ".Nd the inbound controls of Matador, in the order in which they judge\n"
    ".Sh DESCRIPTION\n"
    "An inbound control decides who may send what to whom before a message is accepted.\n"
    "Each is a rule over the Configuration Settings document in force and what is known of client, sender and recipient;\n"
    ".Xr smtpd 8\n"
    "asks them in the order of this page, and\n"
    ".Ic matador explain session\n"
    "asks the same rules without a client.\n"
    "The first that refuses decides, and the message never enters the queue.\n"
    "The settings are described in\n"
    ".Xr matador-documents 5 ;\n"
    "which of them decided, and where it stands, is in the log.\n"
    ".Sh ORDER OF EVALUATION\n";

static const char matching[] =
    ".Sh ENTRIES OF LISTS\n"
    "Several entries of a list are alternatives; letters count without case.\n"
    "A malformed entry refuses the whole configuration: a deny entry that were left out would be an open door.\n"
    "Lists may be long: 50,000 entries cost a client no more than 50.\n"
    ".Bl -tag -width Ds\n"
    ".It Li abc.com\n"
    "As a host or as a relay destination: every name that ends in these characters, smtp.abc.com and xyzabc.com too.\n"
    "With\n"
    ".Cm host_entry_matching No = Cm whole_labels\n"
    "only abc.com and what is below it.\n"
    "As a sender: always by whole labels.\n"
    ".It Li .abc.com\n"
    "What is below abc.com.\n"
    ".It Li @abc.com\n"
    "As a relay destination or a sender: exactly this domain.\n"
    ".It Li user@abc.com\n"
    "As a sender or a recipient: this address, whole.\n"
    ".It Li %AcmeEast\n"
    "As a relay destination: the Domino domain AcmeEast.\n"
    ".It Li [192.0.2.1] , [192.0.2.*] , [192.0.1-9.*] , [192.0.2.0/24]\n"
    "As a host: an IPv4 address, any value or a range in an octet, a mask.\n"
    "A mask cannot be combined with a wildcard or a range.\n"
    ".It Li [2001:db8::1] , [2001:db8::/32]\n"
    "As a host: an IPv6 address or prefix.\n"
    ".It Li *\n"
    "As a host or as a relay destination: everything.\n"
    ".It Ar GroupName\n"
    "An entry without a dot and without an @: the members of this group, and of the groups in it, of type\n"
    ".Cm mail_only\n"
    "or\n"
    ".Cm multi_purpose .\n"
    "A list of which nothing is left but an empty group is not empty: it has nobody.\n"
    ".El\n"
    ".Pp\n"
    "A client's names come from the reverse DNS.\n"
    "For what denies every name counts; for what allows or exempts only those that lead back to the client's address, unless\n"
    ".Cm confirm_host_names\n"
    "is disabled.\n"
    "They are asked for only where a name decides: an address on the list is found first.\n"
    "With a silent DNS the client has no name.\n"
    ".Sh RELAYS\n"
    "Mail for a recipient outside the local Internet domains is a relay.\n"
    "Routed addresses\n"
    ".Pq Li user%domain@local , domain!user@local , \\(dquser@domain\\(dq@local , No source routes\n"
    "are unwrapped for as long as we would be the ones to route them, and judged by the domain that the mail would leave for.\n"
    "What another domain does with the local parts of its own addresses is not looked at.\n"
    ".Pp\n"
    "Clients that are exempt relay anywhere: users of this host, hosts of\n"
    ".Cm relay_enforcement_exclude_hosts ,\n"
    "with\n"
    ".Cm relay_enforcement No = Cm external_hosts\n"
    "hosts whose name lies in a local Internet domain, and with\n"
    ".Cm relay_authenticated_users No = Cm allow_all\n"
    "whoever authenticated.\n"
    "For the others\n"
    ".Bl -enum -compact\n"
    ".It\n"
    "an entry of\n"
    ".Cm relay_allow_destinations\n"
    "or\n"
    ".Cm relay_allow_hosts\n"
    "that has the destination or the client permits, unless the same entry stands literally in the deny list of its pair;\n"
    ".It\n"
    "an entry of\n"
    ".Cm relay_deny_destinations\n"
    "or\n"
    ".Cm relay_deny_hosts\n"
    "refuses;\n"
    ".It\n"
    "when an allow list has entries at all, everything else is refused;\n"
    ".It\n"
    "otherwise the relay is permitted.\n"
    ".El\n"
    "With\n"
    ".Cm relay_deny_takes_precedence\n"
    "the second step comes first.\n"
    ".Sh FILTERS\n"
    "The private and the DNS lists judge only clients that are subject to relay enforcement.\n"
    "The first that has the client ends the chain: the private whitelist spares it all others, a hit in the private blacklist is final\n"
    "even where it is only logged, the DNS whitelist spares it the DNS blacklists.\n"
    "None of them spares it the connection, relay, sender and recipient controls.\n"
    ".Pp\n"
    "Answers of DNS lists outside 127.0.0.0/8 do not count, and are logged: the zone may be parked.\n"
    "A zone that does not answer within\n"
    ".Cm dns_list_timeout\n"
    "does not list the client.\n"
    "With\n"
    ".Cm dns_list_threshold\n"
    "no single zone decides, but the sum of the weights of all zones that list the client, white and black.\n"
    ".Pp\n"
    "A hit that is tagged leaves the header field\n"
    ".Li $DNSBLSite\n"
    "or\n"
    ".Li $DNSWLSite\n"
    "with the zone, or with PrivateBlacklist or PrivateWhitelist; such fields of the client's own are removed.\n"
    ".Sh SPF\n"
    "A fail of HELO is final; otherwise the verdict for MAIL FROM decides, or for a null sender that for HELO.\n"
    "Whoever authenticated, users of this host and hosts of\n"
    ".Cm spf_exempt_hosts\n"
    "are not judged.\n"
    ".Sh WHEN NOBODY ANSWERS\n"
    "What a control has to know from others is asked for when the first control needs it, and once.\n"
    "Without an answer the checks of sender and recipient refuse for the time being (451), lists have not got the client, and a client without a\n"
    "name is external.\n"
    "Rates and greylist let pass.\n"
    ".Bl -tag -width Ds\n";

static const char tail[] =
    ".El\n"
    ".Sh SEE ALSO\n"
    ".Xr matador-documents 5 ,\n"
    ".Xr matador-log 5 ,\n"
    ".Xr matador 8 ,\n"
    ".Xr smtpd 8\n"
    ".Sh STANDARDS\n"
    "RFC 5321, 5782, 7208.\n";

static void
print_stage(size_t stage)
{
	printf(".Ss %s\n%s\n.Bl -tag -width Ds\n", stages[stage].title, stages[stage].meaning);
	for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]); i++)
		if (strcmp(controls[i].stage, stages[stage].stage) == 0)
			printf(".It Sy %s\n%s\n", controls[i].word, controls[i].meaning);
	fputs(".El\n", stdout);
}

int
main(void)
{
	fputs(head, stdout);
	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++)
		print_stage(i);
	fputs(matching, stdout);
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		printf(".It Sy %s\n%s\n", facts[i].word, facts[i].meaning);
	fputs(tail, stdout);
	return 0;
}
