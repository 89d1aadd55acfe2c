/* json_text - text of any origin in JSON */
#ifndef MASTER_MATADOR_JSON_TEXT_H
#define MASTER_MATADOR_JSON_TEXT_H

#include <cjson/cJSON.h>

/* A string. JSON is UTF-8, mail need not be: what is not becomes U+FFFD. NULL is "". */
cJSON *json_make_text(const char *text);
void json_add_text(cJSON *object, const char *name, const char *text);

#endif
