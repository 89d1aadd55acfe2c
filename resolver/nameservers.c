/* nameservers - see nameservers.h */
#include "resolver/nameservers.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/memory.h"

#define NAMESERVERS_MAX 16

void
nameservers_take_line(struct nameservers *nameservers, const char *line)
{
	char keyword[16], address[64], ignored[16];

	if (nameservers->count == NAMESERVERS_MAX || sscanf(line, " %15s %63s", keyword, address) != 2 ||
	    strcmp(keyword, "nameserver") != 0)
		return;
	if (inet_pton(AF_INET, address, ignored) != 1 && inet_pton(AF_INET6, address, ignored) != 1)
		return;
	nameservers->addresses = memory_resize(nameservers->addresses, nameservers->count + 1,
	    sizeof(*nameservers->addresses));
	nameservers->addresses[nameservers->count++] = memory_copy_string(address);
}

void
nameservers_read(struct nameservers *nameservers, int file)
{
	int copy = file == -1 ? -1 : dup(file);
	FILE *stream = copy == -1 ? NULL : fdopen(copy, "re");
	char line[512];

	memset(nameservers, 0, sizeof(*nameservers));
	if (stream == NULL)
		return;
	while (fgets(line, sizeof(line), stream) != NULL)
		nameservers_take_line(nameservers, line);
	fclose(stream);
}

void
nameservers_free(struct nameservers *nameservers)
{
	size_t i;

	for (i = 0; i < nameservers->count; i++)
		free(nameservers->addresses[i]);
	free(nameservers->addresses);
	memset(nameservers, 0, sizeof(*nameservers));
}
