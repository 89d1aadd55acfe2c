/*
 * lists - the lists of lists.def made ready for look-ups, and the weights of the DNS lists
 *
 * Made once for each set of documents (rules.h). However long a list is, a client costs the same.
 */
#ifndef SMTPD_CONTROLS_LISTS_H
#define SMTPD_CONTROLS_LISTS_H

#include <stddef.h>

#include "common/conf/address_list.h"
#include "common/conf/destination_list.h"
#include "common/conf/dns_list_weight.h"
#include "common/conf/host_list.h"
#include "common/conf/settings.h"

struct control_lists {
#define HOST_LIST(setting) struct host_list *setting;
#define HOST_LIST_EXCEPT(setting, other) struct host_list *setting;
#define DESTINATION_LIST(setting) struct destination_list *setting;
#define DESTINATION_LIST_EXCEPT(setting, other) struct destination_list *setting;
#define ADDRESS_LIST(setting) struct address_list *setting;
#include "smtpd/controls/lists.def"
#undef HOST_LIST
#undef HOST_LIST_EXCEPT
#undef DESTINATION_LIST
#undef DESTINATION_LIST_EXCEPT
#undef ADDRESS_LIST
	struct dns_list_weight *dns_list_weights;	/* in the order of the setting */
	size_t dns_list_weight_count;
};

/* Borrows from the configuration, which must outlive the lists. */
struct control_lists *control_lists_new(const struct document_configuration *configuration);
/* NULL is accepted. The pointer is cleared. */
void control_lists_free(struct control_lists **lists);

#endif
