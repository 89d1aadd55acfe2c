/* maildir - see maildir.h */
#include "local/maildir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/hash_table.h"
#include "common/base/identifier.h"

#define BLOCK 65536
#define FLUSHED_COUNT 16384	/* mail files */
#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* ---- names ------------------------------------------------------------------------------------ */

static bool
component_is_valid(const char *component, size_t length)
{
	static const char *const reserved[] = { ".", "..", "tmp", "new", "cur" };
	size_t i;

	if (length == 0 || length > NAME_MAX)
		return false;
	for (i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (strlen(reserved[i]) == length && memcmp(reserved[i], component, length) == 0)
			return false;
	for (i = 0; i < length; i++)
		if ((unsigned char)component[i] < ' ' || component[i] == 0x7f)
			return false;
	return true;
}

bool
maildir_name_is_valid(const char *mail_file)
{
	for (;;) {
		size_t length = strcspn(mail_file, "/");

		if (!component_is_valid(mail_file, length))
			return false;
		if (mail_file[length] == '\0')
			return true;
		mail_file += length + 1;
	}
}

void
maildir_format_name(int64_t arrival_ms, uint64_t message_id, uint32_t recipient, const char *host,
    char name[static MAILDIR_NAME_SIZE])
{
	char id[IDENTIFIER_TEXT_SIZE];
	int length;

	identifier_format(message_id, id);
	length = snprintf(name, MAILDIR_NAME_SIZE, "%lld.M%sR%u.%.200s", (long long)(arrival_ms / 1000), id, recipient,
	    host);
	/* ':' begins the flags of a name in cur. */
	for (; length > 0; length--)
		if (name[length - 1] == '/' || name[length - 1] == ':')
			name[length - 1] = '_';
}

/* ---- folders ---------------------------------------------------------------------------------- */

/*
 * Mail files whose folders this process knows to be on stable storage, by the hashes of their names; one takes the other's place.
 * A folder that is there may be the work of a process that died before it could flush it.
 */
static uint64_t flushed[FLUSHED_COUNT];

static bool
is_flushed(const char *mail_file)
{
	uint64_t hash = hash_text(mail_file);

	return hash != 0 && flushed[hash % FLUSHED_COUNT] == hash;
}

static void
note_flushed(const char *mail_file)
{
	uint64_t hash = hash_text(mail_file);

	flushed[hash % FLUSHED_COUNT] = hash;
}

static int
flush_folder_of(int parent, const char *name, struct error *error)
{
	return fsync(parent) == 0 ? 0 : error_system(error, errno, "flush the folder of %s", name);
}

/* Opens a folder in parent; makes it, durably, when it is missing. */
static int
open_folder(int parent, const char *name, struct error *error)
{
	int folder = openat(parent, name, FOLDER_FLAGS);

	if (folder == -1 && errno == ENOENT) {
		if (mkdirat(parent, name, 0700) == -1 && errno != EEXIST)
			return error_system(error, errno, "make the folder %s", name);
		if (flush_folder_of(parent, name, error) == -1) {
			/* The next delivery must not find it and take it for durable. */
			unlinkat(parent, name, AT_REMOVEDIR);
			return -1;
		}
		folder = openat(parent, name, FOLDER_FLAGS);
	}
	if (folder == -1)
		return error_system(error, errno, "open the folder %s", name);
	return folder;
}

/* Walks down from root, one component after the other; each is flushed unless all are known to be. The mail file's descriptor, or
 * -1 and an error. */
static int
open_mail_file(int root, const char *mail_file, struct error *error)
{
	char component[NAME_MAX + 1];
	bool known = is_flushed(mail_file);
	int folder = -1, parent = root;

	do {
		size_t length = strcspn(mail_file, "/");

		memcpy(component, mail_file, length);
		component[length] = '\0';
		folder = open_folder(parent, component, error);
		if (folder != -1 && !known && flush_folder_of(parent, component, error) == -1) {
			close(folder);
			folder = -1;
		}
		if (parent != root)
			close(parent);
		parent = folder;
		mail_file += length + (mail_file[length] == '/');
	} while (folder != -1 && *mail_file != '\0');
	return folder;
}

/* Whether cur holds the message: its name, alone or with flags behind a ':'. 1, 0, or -1 and an error. */
static int
search_cur(int mail_folder, const char *name, struct error *error)
{
	size_t length = strlen(name);
	int folder = open_folder(mail_folder, "cur", error);
	struct dirent *entry;
	DIR *stream;
	int found = 0;

	if (folder == -1)
		return -1;
	stream = fdopendir(folder);
	if (stream == NULL) {
		error_system(error, errno, "read the folder cur");
		close(folder);
		return -1;
	}
	while (found == 0 && (errno = 0, entry = readdir(stream)) != NULL)
		found = strncmp(entry->d_name, name, length) == 0 &&
		    (entry->d_name[length] == '\0' || entry->d_name[length] == ':');
	if (found == 0 && errno != 0)
		found = error_system(error, errno, "read the folder cur");
	closedir(stream);
	return found;
}

/* Whether an earlier attempt delivered the message. 1, 0, or -1 and an error. */
static int
find_earlier(int mail_folder, struct maildir_message *message, struct error *error)
{
	struct stat status;

	if (fstatat(message->new_folder, message->name, &status, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	if (errno != ENOENT)
		return error_system(error, errno, "look for %s", message->name);
	return message->may_be_repeat ? search_cur(mail_folder, message->name, error) : 0;
}

/* Opens tmp and new; cur is made for the readers. */
static int
open_folders(int mail_folder, struct maildir_message *message, struct error *error)
{
	struct stat status;
	int cur;

	message->tmp_folder = open_folder(mail_folder, "tmp", error);
	if (message->tmp_folder == -1)
		return -1;
	message->new_folder = open_folder(mail_folder, "new", error);
	if (message->new_folder == -1)
		return -1;
	if (faccessat(mail_folder, "cur", F_OK, 0) == -1) {
		cur = open_folder(mail_folder, "cur", error);
		if (cur == -1)
			return -1;
		close(cur);
	}
	if (fstat(message->new_folder, &status) == -1)
		return error_system(error, errno, "look at the folder new");
	message->device = status.st_dev;
	message->inode = status.st_ino;
	if (!is_flushed(message->mail_file)) {
		if (flush_folder_of(mail_folder, "new", error) == -1)
			return -1;
		note_flushed(message->mail_file);
	}
	return 0;
}

/* ---- content ---------------------------------------------------------------------------------- */

static int
write_all(int file, const char *data, size_t length, struct error *error)
{
	while (length > 0) {
		ssize_t written = write(file, data, length);

		if (written == -1 && errno == EINTR)
			continue;
		if (written == -1)
			return error_system(error, errno, "write the message");
		data += written;
		length -= (size_t)written;
	}
	return 0;
}

/* Copies octets with LF for CRLF to out (room for one octet more than length). *held: a CR that may begin a CRLF. */
static size_t
convert_line_ends(const char *octets, size_t length, bool *held, char *out)
{
	size_t count = 0, i;

	for (i = 0; i < length; i++) {
		if (*held && octets[i] != '\n')
			out[count++] = '\r';
		*held = octets[i] == '\r';
		if (!*held)
			out[count++] = octets[i];
	}
	return count;
}

/* The next octets of the content, lent from memory or read into room. Their number, or -1 and an error. */
static ssize_t
read_content(const struct maildir_message *message, uint64_t offset, char room[static BLOCK], const char **octets_out,
    struct error *error)
{
	uint64_t rest = message->length - offset;
	size_t wanted = rest < BLOCK ? (size_t)rest : BLOCK;
	ssize_t got;

	if (message->body < 0) {
		*octets_out = message->memory + offset;
		return (ssize_t)wanted;
	}
	*octets_out = room;
	do
		got = pread(message->body, room, wanted, (off_t)offset);
	while (got == -1 && errno == EINTR);
	if (got == -1)
		return error_system(error, errno, "read the body");
	if (got == 0)
		return error_set(error, ERROR_UNAVAILABLE, "the body ends at octet %llu", (unsigned long long)offset);
	return got;
}

static int
write_content(struct maildir_message *message, struct error *error)
{
	static char room[BLOCK], converted[BLOCK + 1];
	uint64_t offset = 0;
	bool held = false;

	if (write_all(message->file, message->header, message->header_length, error) == -1)
		return -1;
	while (offset < message->length) {
		const char *octets;
		ssize_t length = read_content(message, offset, room, &octets, error);
		size_t count;

		if (length == -1)
			return -1;
		count = convert_line_ends(octets, (size_t)length, &held, converted);
		if (write_all(message->file, converted, count, error) == -1)
			return -1;
		offset += (uint64_t)length;
	}
	return held ? write_all(message->file, "\r", 1, error) : 0;
}

/* ---- the steps -------------------------------------------------------------------------------- */

static int
write_file(struct maildir_message *message, struct error *error)
{
	/* What an attempt that died left behind under this name is ours and is overwritten. */
	message->file = openat(message->tmp_folder, message->name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
	    0600);
	if (message->file == -1)
		return error_system(error, errno, "make the file tmp/%s", message->name);
	return write_content(message, error);
}

int
maildir_write(int root, struct maildir_message *message, struct error *error)
{
	int folder, found, result = -1;

	message->tmp_folder = message->new_folder = message->file = -1;
	message->there = message->named = false;
	if (!maildir_name_is_valid(message->mail_file))
		return error_set(error, ERROR_INVALID, "\"%s\" is not a name for a mail file", message->mail_file);
	folder = open_mail_file(root, message->mail_file, error);
	if (folder == -1)
		goto out;
	if (open_folders(folder, message, error) == -1)
		goto out;
	found = find_earlier(folder, message, error);
	if (found == -1)
		goto out;
	message->there = found == 1;
	result = message->there ? 0 : write_file(message, error);
out:
	if (folder != -1)
		close(folder);
	if (result == -1)
		error_prefix(error, "mail file %.300s", message->mail_file);
	return result;
}

int
maildir_flush(struct maildir_message *message, struct error *error)
{
	int file = message->file;

	if (message->there)
		return 0;
	if (fsync(file) == -1)
		return error_system(error, errno, "flush the message");
	message->file = -1;
	/* What is on a network may be refused as late as this. */
	if (close(file) == -1)
		return error_system(error, errno, "close the message");
	return 0;
}

int
maildir_publish(struct maildir_message *message, struct error *error)
{
	if (message->there)
		return 0;
	if (renameat(message->tmp_folder, message->name, message->new_folder, message->name) == -1)
		return error_system(error, errno, "name the message %s", message->name);
	message->named = true;
	return 0;
}

int
maildir_settle(struct maildir_message *message, struct error *error)
{
	/* Also for one that was there: who named it may have died before this. */
	if (fsync(message->new_folder) == -1)
		return error_system(error, errno, "flush the folder new");
	return 0;
}

void
maildir_end(struct maildir_message *message)
{
	if (message->tmp_folder != -1 && !message->there && !message->named)
		unlinkat(message->tmp_folder, message->name, 0);
	if (message->file != -1)
		close(message->file);
	if (message->tmp_folder != -1)
		close(message->tmp_folder);
	if (message->new_folder != -1)
		close(message->new_folder);
	message->tmp_folder = message->new_folder = message->file = -1;
}
