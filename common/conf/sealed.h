/*
 * sealed - how settings are laid out in a memfd that nobody can change any more
 *
 * Integers and strings as in common/base/wire.h:
 *   u64 magic, u32 version, u64 sum over the table, u32 role
 *   u32 count, strings: the names of the files, numbered from 0; number 0 is ""
 *   the documents in force: matador, server, configuration
 *   for each kind in the order of settings.def: u32 count, documents
 * A document is its title, u32 file, u32 line, then for each setting that the role may see and that is not at its
 * default u16 row, u8 flags, u32 file, u32 line, u64 number, the text, u32 count, items (text, u32 file, u32
 * line); at the end u16 SEALED_LAST_ROW.
 *
 * Both sides are the same build, which the sum proves; so the format has no history.
 */
#ifndef COMMON_CONF_SEALED_H
#define COMMON_CONF_SEALED_H

#include <fcntl.h>
#include <stdint.h>

#include "common/conf/table.h"

#define SEALED_MAGIC 0x5345544d41544144ULL
#define SEALED_VERSION 1
#define SEALED_LAST_ROW UINT16_MAX
#define SEALED_FLAG_GIVEN 1
#define SEALED_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define SEALED_LONGEST_TEXT ((size_t)1 << 20)
#define SEALED_SMALLEST_DOCUMENT 15	/* an empty title, file, line, end */
#define SEALED_SMALLEST_ITEM 13		/* an empty text, file, line */
#define SEALED_SMALLEST_NAME 5

/* FNV-1a over what gives the bytes their meaning. */
uint64_t sealed_table_sum(void);

#endif
