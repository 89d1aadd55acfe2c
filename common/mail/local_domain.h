/*
 * local_domain - is this Internet domain one of ours?
 *
 * The one place that decides (docs/reference/domino-semantics.md, 3.2), for smtpd and router alike: with Global
 * Domain documents their primary domains and aliases; without any, the server's own Internet host name and its
 * neighbours.
 */
#ifndef COMMON_MAIL_LOCAL_DOMAIN_H
#define COMMON_MAIL_LOCAL_DOMAIN_H

#include <stdbool.h>

#include "common/base/buffer.h"
#include "common/conf/settings.h"

struct local_domains;

/* Made from the settings; holds them. */
struct local_domains *local_domains_new(const struct settings *settings);
void local_domains_free(struct local_domains **domains);

/*
 * Whether domain (any case) is local. *rule_out (may be NULL) is the document or rule that decided, its file and
 * line in *at_out (may be NULL). *primary_out (may be NULL): when domain matched an alias, the primary domain of
 * the same document.
 */
bool is_local_internet_domain(const struct local_domains *domains, const char *domain, const char **rule_out,
    struct position *at_out, const char **primary_out);

/*
 * The domain that completes the addresses of local users: the primary domain of the first Global Domain document,
 * without any the server's Internet host name. "" when there is neither.
 */
const char *local_domains_own(const struct local_domains *domains);

/* Calls each (domain, where from) for the log at start. */
void local_domains_each(const struct local_domains *domains,
    void (*each)(void *context, const char *domain, const char *from), void *context);

#endif
