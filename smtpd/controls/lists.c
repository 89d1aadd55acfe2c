/* lists - see lists.h */
#include "smtpd/controls/lists.h"

#include <stdlib.h>

#include "common/base/memory.h"

static void
make_weights(struct control_lists *lists, const struct setting *weights)
{
	lists->dns_list_weights = memory_new(weights->count + 1, sizeof(*lists->dns_list_weights));
	for (size_t i = 0; i < weights->count; i++)
		if (dns_list_weight_parse(weights->items[i].text,
		    &lists->dns_list_weights[lists->dns_list_weight_count], NULL) == 0)
			lists->dns_list_weight_count++;
}

struct control_lists *
control_lists_new(const struct document_configuration *configuration)
{
	struct control_lists *lists = memory_new(1, sizeof(*lists));
	bool whole_labels = configuration->host_entry_matching.number == HOST_ENTRY_MATCHING_WHOLE_LABELS;

#define HOST_LIST(setting) lists->setting = host_list_new(&configuration->setting, NULL, whole_labels);
#define HOST_LIST_EXCEPT(setting, other) \
	lists->setting = host_list_new(&configuration->setting, &configuration->other, whole_labels);
#define DESTINATION_LIST(setting) \
	lists->setting = destination_list_new(&configuration->setting, NULL, whole_labels);
#define DESTINATION_LIST_EXCEPT(setting, other) \
	lists->setting = destination_list_new(&configuration->setting, &configuration->other, whole_labels);
#define ADDRESS_LIST(setting) lists->setting = address_list_new(&configuration->setting);
#include "smtpd/controls/lists.def"
#undef HOST_LIST
#undef HOST_LIST_EXCEPT
#undef DESTINATION_LIST
#undef DESTINATION_LIST_EXCEPT
#undef ADDRESS_LIST
	make_weights(lists, &configuration->dns_list_weight);
	return lists;
}

void
control_lists_free(struct control_lists **lists)
{
	if (*lists == NULL)
		return;
#define HOST_LIST(setting) host_list_free(&(*lists)->setting);
#define HOST_LIST_EXCEPT(setting, other) host_list_free(&(*lists)->setting);
#define DESTINATION_LIST(setting) destination_list_free(&(*lists)->setting);
#define DESTINATION_LIST_EXCEPT(setting, other) destination_list_free(&(*lists)->setting);
#define ADDRESS_LIST(setting) address_list_free(&(*lists)->setting);
#include "smtpd/controls/lists.def"
#undef HOST_LIST
#undef HOST_LIST_EXCEPT
#undef DESTINATION_LIST
#undef DESTINATION_LIST_EXCEPT
#undef ADDRESS_LIST
	free((*lists)->dns_list_weights);
	free(*lists);
	*lists = NULL;
}
