/* failure_text - see failure_text.h */
#include "router/failure_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/log/log.h"

#define FILE_MAX 65536		/* octets of a text file that are used */
#define SETTINGS_MAX 12

struct text_file {
	char *path;
	char *text;
};

/* What was read before the jail. */
static struct text_file files[SETTINGS_MAX];
static size_t file_count;

/* The setting for each class, the delay's last. */
static const struct setting *
setting_of(const struct settings *settings, enum report_kind kind, enum failure_class failure)
{
	if (kind == REPORT_DELAY)
		return &settings->configuration.failure_text_transfer_delay;
	if (kind != REPORT_FAILURE)
		return NULL;
	switch (failure) {
#define TEXT(symbol, key, summary) case FAILURE_##symbol: return &settings->configuration.key;
#include "router/failure_texts.def"
#undef TEXT
	case FAILURE_NONE:
	case FAILURE_CLASS_COUNT:
		break;
	}
	return NULL;
}

const char *
failure_text_summary(enum failure_class failure)
{
	switch (failure) {
#define TEXT(symbol, key, summary) case FAILURE_##symbol: return summary;
#include "router/failure_texts.def"
#undef TEXT
	case FAILURE_NONE:
	case FAILURE_CLASS_COUNT:
		break;
	}
	return "";
}

static const char *
text_of_file(const char *path)
{
	for (size_t i = 0; i < file_count; i++)
		if (strcmp(files[i].path, path) == 0)
			return files[i].text;
	return "";
}

static void
read_file(const char *path)
{
	char *text;
	size_t length;
	FILE *file = fopen(path, "re");

	if (file == NULL) {
		char note[1024];

		snprintf(note, sizeof(note), "cannot read the failure text %.700s: %s; reports go without it",
		    path, strerror(errno));
		log_event(LOG_NOTE, note);
		return;
	}
	text = memory_new(FILE_MAX + 1, 1);
	length = fread(text, 1, FILE_MAX, file);
	fclose(file);
	/* A text ends where it cannot go on. */
	text[strnlen(text, length)] = '\0';
	files[file_count++] = (struct text_file){ memory_copy_string(path), text };
}

void
failure_text_read_files(const struct settings *settings)
{
	failure_text_forget_files();
	if (settings->configuration.failure_texts_from.number != FAILURE_TEXTS_FROM_TEXT_FILE)
		return;
	for (int failure = FAILURE_NONE; failure <= FAILURE_CLASS_COUNT; failure++) {
		const struct setting *setting = failure == FAILURE_CLASS_COUNT ?
		    setting_of(settings, REPORT_DELAY, FAILURE_NONE) :
		    setting_of(settings, REPORT_FAILURE, (enum failure_class)failure);

		if (setting != NULL && setting->text[0] != '\0' && file_count < SETTINGS_MAX &&
		    text_of_file(setting->text)[0] == '\0')
			read_file(setting->text);
	}
}

void
failure_text_forget_files(void)
{
	while (file_count > 0) {
		file_count--;
		free(files[file_count].path);
		free(files[file_count].text);
	}
}

const char *
failure_text_added(const struct settings *settings, enum report_kind kind, enum failure_class failure)
{
	const struct setting *setting = setting_of(settings, kind, failure);

	if (setting == NULL || setting->text[0] == '\0')
		return "";
	return settings->configuration.failure_texts_from.number == FAILURE_TEXTS_FROM_TEXT_FILE ?
	    text_of_file(setting->text) : setting->text;
}
