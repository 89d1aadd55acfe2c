/* choices - an enum for each setting that is one word of a few, expanded from choices.def */
#ifndef COMMON_CONF_CHOICES_H
#define COMMON_CONF_CHOICES_H

#define CHOICE(setting) enum setting {
#define VALUE(setting, symbol, word) setting##_##symbol,
#define END_CHOICE };
#include "common/conf/choices.def"
#undef CHOICE
#undef VALUE
#undef END_CHOICE

#endif
