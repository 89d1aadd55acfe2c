/* test_conf_seal - sealed settings: the same for who may see them, defaults for others, and never trusted */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/mman.h>

#include "common/base/attributes.h"
#include "common/base/memory.h"
#include "common/conf/host_entry.h"
#include "common/conf/table.h"
#include "common/conf/value.h"
#include "tests/unit/common/conf_folder.h"

#define HASH "$y$j9T$abcdefghijklmnop$abcdefgh"

static const struct settings *
make_settings(struct conf_folder *folder)
{
	conf_folder_make(folder);
	conf_folder_write_usual(folder);
	conf_folder_write(folder, "servers.conf", CONF_FOLDER_SERVER "server \"East1/Servers/Acme\" { "
	    "domino_domain = East }\n");
	conf_folder_write(folder, "configurations.conf", "configuration \"*\" {\n"
	    "smtp_outside_local_internet_domain = enabled\n"
	    "relay_host = relay.example relay_host_user = u relay_host_password = s3cret\n"
	    "maximum_sessions = 77 relay_enforcement = all_hosts\n"
	    "relay_enforcement_exclude_hosts = { \"[10.0.0.0/8]\",\n Hosts }\n"
	    "allow_senders = { Empty } deny_recipients = { Hosts }\n"
	    "relay_deny_destinations = {} relay_allow_destinations = { \"@partner.example\" } }\n"
	    "configuration \"East1/Servers/Acme\" { relay_host_password = other }\n");
	conf_folder_write(folder, "domains.conf", "global_domain \"G\" { local_primary_internet_domain = "
	    "acme.com\ninternet_domain_aliases = { \"acme.fr\", \"*.acme.net\" } }\n");
	conf_folder_write(folder, "directory/people.conf", "person \"Jane Doe/Acme\" { short_names = { jdoe }\n"
	    "internet_address = jane@acme.com mail_file = jdoe password = \"" HASH "\" }\n");
	conf_folder_write(folder, "directory/groups.conf", "group \"Hosts\" { members = { \"[192.0.2.0/24]\", "
	    "\"mx.example\",\n\"More\", \"Jane Doe/Acme\" } }\ngroup \"More\" { members = { \"[198.51.100.7]\", \"*\", "
	    "Hosts } }\ngroup \"Empty\" { }\n");
	return conf_folder_read(folder);
}

static const struct settings *
pass_on(const struct settings *settings, enum role role)
{
	struct error error = ERROR_INITIALIZER;
	int file = settings_seal(settings, role, &error);
	const struct settings *received;

	assert_true(file >= 0);
	received = settings_unseal(file, &error);
	assert_non_null(received);
	close(file);
	return received;
}

static void
assert_same_document(enum document_kind kind, const void *a, const void *b)
{
	const struct document_start *start = a, *other = b;

	assert_string_equal(start->title, other->title);
	assert_string_equal(start->at.file, other->at.file);
	assert_int_equal(start->at.line, other->at.line);
	for (size_t i = 0; i < document_rows[kind].setting_count; i++) {
		const struct setting_row *row = &document_rows[kind].settings[i];
		const struct setting *one = document_setting_const(a, row), *two = document_setting_const(b, row);

		assert_true(one->number == two->number && one->given == two->given &&
		    one->at.line == two->at.line);
		assert_string_equal(one->text, two->text);
		assert_string_equal(one->at.file, two->at.file);
		if (row->type >= TYPE_LIST_HOST_ENTRY && row->type <= TYPE_LIST_RECIPIENT_ENTRY)
			continue;	/* groups are expanded */
		assert_int_equal(one->count, two->count);
		for (size_t j = 0; j < one->count; j++) {
			assert_string_equal(one->items[j].text, two->items[j].text);
			assert_int_equal(one->items[j].at.line, two->items[j].at.line);
		}
	}
}

static void
who_may_see_everything_gets_everything(void **state UNUSED)
{
	struct conf_folder folder;
	const struct settings *settings = make_settings(&folder), *received = pass_on(settings, ROLE_MASTER);

	for (size_t kind = 0; kind < KIND_COUNT; kind++) {
		if (settings_in_force(settings, kind) != NULL)
			assert_same_document(kind, settings_in_force(settings, kind), settings_in_force(received,
			    kind));
		if (kind == KIND_matador || kind == KIND_configuration)
			continue;
		assert_int_equal(settings_document_count(settings, kind), settings_document_count(received, kind));
		for (size_t i = 0; i < settings_document_count(settings, kind); i++)
			assert_same_document(kind, settings_document(settings, kind, i),
			    settings_document(received, kind, i));
	}
	settings_release(&received);
	settings_release(&settings);
	conf_folder_remove(&folder);
}

static bool
bytes_hold(const struct settings *settings, enum role role, const char *words)
{
	struct error error = ERROR_INITIALIZER;
	int file = settings_seal(settings, role, &error);
	off_t length = lseek(file, 0, SEEK_END);
	void *bytes = mmap(NULL, (size_t)length, PROT_READ, MAP_PRIVATE, file, 0);
	bool found = memmem(bytes, (size_t)length, words, strlen(words)) != NULL;

	munmap(bytes, (size_t)length);
	close(file);
	return found;
}

static void
secrets_are_in_nobody_elses_bytes(void **state UNUSED)
{
	struct conf_folder folder;
	const struct settings *settings = make_settings(&folder);

	for (enum role role = ROLE_LOGGER; role < ROLE_CONTROL; role++) {
		assert_int_equal(bytes_hold(settings, role, HASH), role == ROLE_DIRECTORY);
		assert_int_equal(bytes_hold(settings, role, "s3cret"), role == ROLE_SMTP);
		assert_false(bytes_hold(settings, role, "other"));
	}
	settings_release(&settings);
	conf_folder_remove(&folder);
}

static void
a_role_sees_defaults_of_what_it_may_not_see(void **state UNUSED)
{
	struct conf_folder folder;
	const struct settings *settings = make_settings(&folder), *smtpd = pass_on(settings, ROLE_SMTPD);
	const struct settings *logger = pass_on(settings, ROLE_LOGGER);

	assert_int_equal(smtpd->configuration.maximum_sessions.number, 77);
	assert_int_equal(smtpd->configuration.relay_enforcement.number, RELAY_ENFORCEMENT_ALL_HOSTS);
	assert_int_equal(smtpd->configuration.relay_deny_destinations.count, 0);
	assert_true(smtpd->configuration.relay_deny_destinations.given);
	assert_string_equal(smtpd->configuration.relay_host.text, "");
	assert_int_equal(smtpd->person_count, 0);
	assert_int_equal(smtpd->group_count, 0);
	assert_int_equal(smtpd->global_domain_count, 1);
	assert_string_equal(smtpd->global_domain_documents[0].internet_domain_aliases.items[1].text, "*.acme.net");
	assert_int_equal(smtpd->server_count, 2);
	assert_int_equal(logger->global_domain_count, 0);
	assert_string_equal(logger->server.internet_host_name.text, "hub.acme.com");
	settings_release(&smtpd);
	settings_release(&logger);
	settings_release(&settings);
	conf_folder_remove(&folder);
}

static bool
has_item(const struct setting *list, const char *text, uint32_t line)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i].text, text) == 0 && list->items[i].at.line == line)
			return true;
	return false;
}

static void
groups_in_lists_of_controls_are_expanded(void **state UNUSED)
{
	struct conf_folder folder;
	const struct settings *settings = make_settings(&folder), *smtpd = pass_on(settings, ROLE_SMTPD);
	const struct setting *hosts = &smtpd->configuration.relay_enforcement_exclude_hosts;

	assert_true(has_item(hosts, "[10.0.0.0/8]", 5));
	assert_true(has_item(hosts, "[192.0.2.0/24]", 1));
	assert_true(has_item(hosts, "mx.example", 1));
	assert_true(has_item(hosts, "[198.51.100.7]", 3));
	assert_false(has_item(hosts, "Jane Doe/Acme", 2));
	/* A group never lets everybody in. */
	assert_false(has_item(hosts, "*", 3));
	assert_true(has_item(&smtpd->configuration.deny_recipients, "jane@acme.com", 2));
	/* An allow list whose group is empty allows nobody; an empty list would allow all. */
	assert_int_equal(smtpd->configuration.allow_senders.count, 1);
	settings_release(&smtpd);
	settings_release(&settings);
	conf_folder_remove(&folder);
}

static void
settings_live_until_the_last_holder_lets_go(void **state UNUSED)
{
	struct conf_folder folder;
	const struct settings *settings = make_settings(&folder), *held = settings_hold(settings);

	settings_release(&settings);
	assert_null(settings);
	assert_string_equal(held->server.title, "Hub1/Servers/Acme");
	settings_release(&held);
	conf_folder_remove(&folder);
}

static void
sealed_bytes_cannot_be_changed(void **state UNUSED)
{
	struct error error = ERROR_INITIALIZER;
	struct conf_folder folder;
	const struct settings *settings = make_settings(&folder);
	int file = settings_seal(settings, ROLE_SMTPD, &error);

	assert_int_equal(pwrite(file, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(file, 0), -1);
	assert_int_equal(ftruncate(file, 1 << 20), -1);
	close(file);
	settings_release(&settings);
	conf_folder_remove(&folder);
}

static int
memfd_of(const void *bytes, size_t length, bool seal)
{
	int file = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(write(file, bytes, length), (ssize_t)length);
	if (seal)
		assert_int_equal(fcntl(file, F_ADD_SEALS,
		    F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
	return file;
}

static void
refuse_bytes(const void *bytes, size_t length, bool seal, const char *words)
{
	struct error error = ERROR_INITIALIZER;
	int file = memfd_of(bytes, length, seal);
	const struct settings *settings = settings_unseal(file, &error);

	assert_null(settings);
	assert_non_null(strstr(error.text, words));
	close(file);
}

static void *
sealed_bytes(const struct settings *settings, size_t *length_out)
{
	struct error error = ERROR_INITIALIZER;
	int file = settings_seal(settings, ROLE_MASTER, &error);
	void *bytes;

	*length_out = (size_t)lseek(file, 0, SEEK_END);
	bytes = memory_new(*length_out, 1);
	assert_int_equal(pread(file, bytes, *length_out, 0), (ssize_t)*length_out);
	close(file);
	return bytes;
}

static void
unsealed_empty_or_cut_bytes_are_refused(void **state UNUSED)
{
	struct conf_folder folder;
	const struct settings *settings = make_settings(&folder);
	size_t length;
	char *bytes = sealed_bytes(settings, &length);

	refuse_bytes(bytes, length, false, "not sealed");
	refuse_bytes(bytes, 0, true, "empty");
	refuse_bytes("nonsense nonsense nonsense", 26, true, "another version");
	for (size_t cut = 40; cut < length; cut += 7)
		refuse_bytes(bytes, cut, true, "");
	free(bytes);
	settings_release(&settings);
	conf_folder_remove(&folder);
}

static void
changed_bytes_never_crash_the_reader(void **state UNUSED)
{
	struct conf_folder folder;
	const struct settings *settings = make_settings(&folder);
	size_t length;
	uint8_t *bytes = sealed_bytes(settings, &length);

	for (size_t i = 24; i < length; i++) {
		static const uint8_t masks[] = { 0xff, 0x01, 0x80 };

		for (size_t j = 0; j < ARRAY_COUNT(masks); j++) {
			struct error error = ERROR_INITIALIZER;
			const struct settings *received;
			struct buffer text = BUFFER_INITIALIZER(0);
			int file;

			bytes[i] ^= masks[j];
			file = memfd_of(bytes, length, true);
			received = settings_unseal(file, &error);
			for (size_t k = 0; received != NULL &&
			    k < document_rows[KIND_configuration].setting_count; k++)
				value_format(&document_rows[KIND_configuration].settings[k],
				    document_setting_const(&received->configuration,
				    &document_rows[KIND_configuration].settings[k]), &text);
			settings_release(&received);
			close(file);
			buffer_free(&text);
			bytes[i] ^= masks[j];
		}
	}
	free(bytes);
	settings_release(&settings);
	conf_folder_remove(&folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_may_see_everything_gets_everything),
		cmocka_unit_test(secrets_are_in_nobody_elses_bytes),
		cmocka_unit_test(a_role_sees_defaults_of_what_it_may_not_see),
		cmocka_unit_test(groups_in_lists_of_controls_are_expanded),
		cmocka_unit_test(settings_live_until_the_last_holder_lets_go),
		cmocka_unit_test(sealed_bytes_cannot_be_changed),
		cmocka_unit_test(unsealed_empty_or_cut_bytes_are_refused),
		cmocka_unit_test(changed_bytes_never_crash_the_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
