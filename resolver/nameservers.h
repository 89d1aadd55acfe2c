/* nameservers - the name servers of /etc/resolv.conf; its search list and options are none of our business */
#ifndef RESOLVER_NAMESERVERS_H
#define RESOLVER_NAMESERVERS_H

#include <stddef.h>

struct nameservers {
	char **addresses;	/* owned */
	size_t count;
};

/* Reads an open file to its end; -1, or what cannot be read, names none. */
void nameservers_read(struct nameservers *nameservers, int file);
/* Takes "nameserver ADDRESS" from one line, anything else is passed over. */
void nameservers_take_line(struct nameservers *nameservers, const char *line);
void nameservers_free(struct nameservers *nameservers);

#endif
