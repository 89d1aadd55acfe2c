/* body - content in files: what others than the store need */
#ifndef QMGR_STORE_BODY_H
#define QMGR_STORE_BODY_H

#include <stdint.h>

#include "common/base/error.h"

#define BODY_PATH_SIZE 32

/* Below bodies/: "XX/ID". */
void body_path(uint64_t id, char path[static BODY_PATH_SIZE]);
/* Length and checksum by reading. */
int body_measure(int file, uint64_t *length_out, uint32_t *crc_out, struct error *error);

#endif
