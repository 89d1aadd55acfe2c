/*
 * log-manual - prints matador-log(5) from the table of events
 *
 * Run by the Makefile; what the log can say and what the manual page tells cannot disagree.
 */
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name, *severity, *keys, *meaning;
} events[] = {
#define EVENT(symbol, name, severity, keys, meaning) { name, #severity, keys, meaning },
#include "common/log/events.def"
#undef EVENT
};

static const char head[] =
    ".Dd $Mdocdate$\n"
    ".Dt MATADOR-LOG 5\n"
    ".Os\n"
    ".Sh NAME\n"
    ".Nm matador-log\n"
    ".Nd the events that Matador logs\n"
    ".Sh DESCRIPTION\n"
    "Matador logs one line an event: the event's name, then\n"
    ".Ar key Ns = Ns Ar value\n"
    "pairs in a fixed order, the message's id first where there is one.\n"
    "A value with anything but plain characters is quoted; control characters and octets that are not\n"
    "valid UTF-8 are written as\n"
    ".Li \\exNN ,\n"
    "so that no input can forge a line.\n"
    "With\n"
    ".Li log_format = json\n"
    "the same events are JSON objects, one a line.\n"
    ".Pp\n"
    "All of one message's events carry its\n"
    ".Va id ,\n"
    "which also stands in its Received field and in the reply that accepted it.\n"
    "Severities are those of\n"
    ".Xr syslog 3 ;\n"
    ".Va mail_logging_level\n"
    "says which are logged.\n"
    ".Sh EVENTS\n"
    ".Bl -tag -width Ds\n";

static const char tail[] =
    ".El\n"
    ".Sh SEE ALSO\n"
    ".Xr matador.conf 5 ,\n"
    ".Xr logger 8 ,\n"
    ".Xr matador 8\n";

/* Each sentence on a line of its own, as mdoc wants it. */
static void
print_sentences(const char *text)
{
	for (; *text != '\0'; text++) {
		putchar(*text);
		if (*text == '.' && text[1] == ' ') {
			putchar('\n');
			text++;
		}
	}
	putchar('\n');
}

int
main(void)
{
	fputs(head, stdout);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		char severity[16];
		size_t length = 0;

		for (const char *c = events[i].severity; *c != '\0' && length < sizeof(severity) - 1; c++)
			severity[length++] = *c >= 'A' && *c <= 'Z' ? (char)(*c + 'a' - 'A') : *c;
		severity[length] = '\0';
		printf(".It Li %s Pq %s\n", events[i].name, severity);
		print_sentences(events[i].meaning);
		if (events[i].keys[0] != '\0')
			printf("Keys:\n.Va %s .\n", events[i].keys);
	}
	fputs(tail, stdout);
	return 0;
}
