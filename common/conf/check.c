/* check - see check.h */
#include "common/conf/check.h"

void
check_documents(struct settings *settings, struct documents_report *report, const char *host_file)
{
	struct check check = { settings, report, names_new(), host_file };

	/* Names first: the rest asks for them. */
	check_names(&check);
	check_choose_server(&check);
	check_choose_configuration(&check);
	check_host(&check);
	check_servers(&check);
	check_domains(&check);
	check_connections(&check);
	check_directory(&check);
	check_lists(&check);
	check_controls(&check);
	check_inbound(&check);
	check_effect(&check);
	names_free(&check.names);
}
