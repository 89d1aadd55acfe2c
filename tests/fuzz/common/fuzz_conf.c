/* fuzz_conf - any octets as a file of etc/: read, checked, and when there is no mistake sealed and read again */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/conf/check.h"
#include "common/conf/parser.h"

#define ALL_KINDS ((1u << KIND_COUNT) - 1)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Our server, so that nobody is asked for the system's name. */
static const char preamble[] = "server_name = \"H/A\"\nserver \"H/A\" { internet_host_name = h.a.example }\n";

static void
parse(struct builder *builder, const void *data, size_t size)
{
	/* As deep as includes may be: none is followed. */
	struct parser outer[PARSER_DEEPEST_INCLUDE + 1] = { { .builder = builder } };
	struct parser parser = { .builder = builder, .line = 1, .outer = &outer[PARSER_DEEPEST_INCLUDE] };
	char *text = memory_new(size + 2, 1);

	for (size_t i = 1; i <= PARSER_DEEPEST_INCLUDE; i++)
		outer[i] = (struct parser){ .builder = builder, .outer = &outer[i - 1] };
	memcpy(text, data, size);
	builder_begin_file(builder, "fuzz.conf", ALL_KINDS, false);
	parser_read_text(&parser, text, size);
	builder_end_file(builder);
	free(parser.items);
	free(text);
}

static void
seal_and_read(const struct settings *settings)
{
	struct error error = ERROR_INITIALIZER;

	for (enum role role = ROLE_LOGGER; role < ROLE_CONTROL; role++) {
		int file = settings_seal(settings, role, &error);
		const struct settings *received = settings_unseal(file, &error);

		if (received == NULL || strcmp(received->server.title, settings->server.title) != 0)
			abort();
		settings_release(&received);
		close(file);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct documents_report report = { .errors = BUFFER_INITIALIZER(0), .warnings = BUFFER_INITIALIZER(0) };
	struct settings_memory *memory = settings_memory_new();
	struct settings *settings = settings_new(memory);
	const struct settings *released = settings;
	struct builder builder;

	if (memchr(data, '\0', size) == NULL) {
		builder_init(&builder, memory, &report);
		parse(&builder, preamble, sizeof(preamble) - 1);
		parse(&builder, data, size);
		builder_finish(&builder, settings);
		check_documents(settings, &report, "matador.conf");
		if (report.error_count == 0)
			seal_and_read(settings);
	}
	settings_release(&released);
	documents_report_free(&report);
	return 0;
}
