/* directory - the messages of common/ipc/directory.def as structs, send functions and handlers */
#ifndef COMMON_IPC_DIRECTORY_H
#define COMMON_IPC_DIRECTORY_H

#include "common/mail/call_out.h"

#define IPC_TABLE "common/ipc/directory.def"
#define IPC_PROTOCOL directory
#include "common/ipc/declare.h"

enum directory_lookup_kind {
	DIRECTORY_INTERNET_ADDRESS,	/* the whole address of a person or mail-in database, exactly */
	DIRECTORY_LOCAL_PART,		/* a part before the @ against every name form; '_' and '.' stand for a blank */
	DIRECTORY_NAME,			/* a Notes name or short name of a person, a mail-in database or a group */
	DIRECTORY_GROUP_MEMBERS,	/* the members of a group, one level */
};

enum directory_entry_kind { DIRECTORY_PERSON, DIRECTORY_MAIL_IN, DIRECTORY_GROUP };

enum directory_outcome {
	DIRECTORY_FOUND,
	DIRECTORY_NONE,
	DIRECTORY_UNAVAILABLE,		/* conclude nothing */
};

#define GREYLIST_PEEK 1	/* greylist_question.flags: nothing is remembered of it */

enum call_out_memory_finding {
	CALL_OUT_MEMORY_NOTHING,
	CALL_OUT_MEMORY_TAKEN,
	CALL_OUT_MEMORY_REFUSED,
};

#endif
