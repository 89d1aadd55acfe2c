# Matador's one Makefile. A bare `make` bootstraps: it generates and runs configure when needed.
# Each program is its folder: adding a file is adding a file. BUILD=dir builds elsewhere
# (clang, sanitizers); SANITIZE=address,undefined adds the sanitizers.

.DEFAULT_GOAL := all
BUILD ?= build
SANITIZE ?=
PROGRAMS := master logger smtpd qmgr router resolver directory policy smtp local

-include config.mk

SOURCES_matador := $(wildcard master/matador/*.c)
SOURCES_logger  := $(wildcard master/logger/*.c)
SOURCES_master  := $(wildcard master/*.c)
define program_sources
SOURCES_$(1) := $$(wildcard $(1)/*.c $(1)/*/*.c)
endef
$(foreach p,smtpd qmgr router resolver directory policy smtp local,$(eval $(call program_sources,$(p))))
SOURCES_common := $(wildcard common/*/*.c)

LIBS_matador   = $(DB_LIBS) $(CRYPT_LIBS) $(CJSON_LIBS) -lpthread
LIBS_qmgr      = $(DB_LIBS) -lpthread
LIBS_directory = $(DB_LIBS) $(CRYPT_LIBS) $(MD_LIBS)
LIBS_resolver  = $(UNBOUND_LIBS) $(LDNS_LIBS)
LIBS_policy    = $(SPF2_LIBS)
LIBS_common    = $(COMMON_LIBS) $(IDN2_LIBS)
# The control command reads a stopped queue itself and checks etc/ as master does.
ARCHIVES_matador = $(BUILD)/qmgr/libqmgr.a

# Pages about tables are printed from the tables.
GENERATED_MANUALS := $(BUILD)/manuals/matador-log.5 $(BUILD)/manuals/matador-documents.5 $(BUILD)/manuals/matador-controls.5
MANUALS := $(wildcard master/*.8 master/*/*.8 smtpd/*.8 router/*.8 resolver/*.8 qmgr/*.8 directory/*.8 policy/*.8 smtp/*.8 local/*.8 common/conf/*.5) $(GENERATED_MANUALS)

WARNINGS  = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wvla
HARDENING = -fstack-protector-strong -fstack-clash-protection -fPIE
ifeq ($(SANITIZE),)
HARDENING += -D_FORTIFY_SOURCE=2
SANITIZE_FLAGS =
else
SANITIZE_FLAGS = -fsanitize=$(SANITIZE) -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif
ALL_CPPFLAGS = -D_GNU_SOURCE -I. -I$(BUILD)/generated $(LIBRARY_CFLAGS) $(CONFIGURED_CPPFLAGS) $(CPPFLAGS) \
	-DSYSCONFDIR='"$(sysconfdir)"' -DLIBEXECDIR='"$(libexecdir)"' \
	-DLOCALSTATEDIR='"$(localstatedir)"' -DRUNSTATEDIR='"$(runstatedir)"' -DMATADOR_VERSION='"$(VERSION)"'
ifeq ($(WERROR),1)
WARNINGS += -Werror
endif
ALL_CFLAGS   = -std=gnu11 $(WARNINGS) $(HARDENING) $(CONFIGURED_CFLAGS) $(SANITIZE_FLAGS) $(CFLAGS)
ALL_LDFLAGS  = -pie -Wl,-z,relro,-z,now $(CONFIGURED_LDFLAGS) $(SANITIZE_FLAGS) $(LDFLAGS)

# `make V=1` shows whole commands.
QUIET = $(if $(V),,@echo "  $(1) $(2)";)

object = $(patsubst %.c,$(BUILD)/%.o,$(1))
without_main = $(filter-out %/main.c,$(1))

GENERATED_SOURCES := $(BUILD)/generated/conf_grammar.c $(BUILD)/generated/conf_scanner.c
GENERATED_OBJECTS := $(GENERATED_SOURCES:.c=.o)

all: programs
programs: $(BUILD)/sbin/matador $(PROGRAMS:%=$(BUILD)/libexec/matador/%)
.PHONY: all programs test-tools check unit-tests check-settings check-unit check-manuals check-functional run clean distclean install dist \
	fuzz fuzz-programs bench bench-domains bench-lists torture mutate

# ---- bootstrap --------------------------------------------------------------------------------
configure: configure.ac
	@if test -d .git || ! test -f configure; then tools/install-deps && autoreconf -fi; else touch configure; fi
config.mk: config.mk.in configure
	@tools/install-deps
	@if test -x config.status; then ./config.status --recheck && ./config.status; else ./configure; fi
	@touch config.mk

# ---- generated scanner and grammar ------------------------------------------------------------
$(BUILD)/generated/conf_grammar.c $(BUILD)/generated/conf_grammar.h &: common/conf/grammar.y config.mk
	@mkdir -p $(@D)
	$(BISON) -Wall -Werror --defines=$(BUILD)/generated/conf_grammar.h -o $(BUILD)/generated/conf_grammar.c $<
$(BUILD)/generated/conf_scanner.c: common/conf/scanner.l $(BUILD)/generated/conf_grammar.h config.mk
	@mkdir -p $(@D)
	$(FLEX) -o $@ $<
$(GENERATED_OBJECTS): %.o: %.c
	$(call QUIET,CC,$@)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -Wno-unused -MMD -MP -c -o $@ $<

# ---- objects, archives, programs --------------------------------------------------------------
$(BUILD)/%.o: %.c config.mk | $(BUILD)/generated/conf_grammar.h
	@mkdir -p $(@D)
	$(call QUIET,CC,$@)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/common/libcommon.a: $(call object,$(SOURCES_common)) $(GENERATED_OBJECTS)
	@rm -f $@
	@$(AR) rcs $@ $^

# A program is its main.o over an archive of everything else in its folder: tests link the archive.
define program_rules
$(BUILD)/$(1)/lib$(1).a: $(call object,$(call without_main,$(SOURCES_$(1))))
	@mkdir -p $$(@D)
	@rm -f $$@
	@$$(AR) rcs $$@ $$^
$(2): $(call object,$(filter %/main.c,$(SOURCES_$(1)))) $(BUILD)/$(1)/lib$(1).a $$(ARCHIVES_$(1)) $(BUILD)/common/libcommon.a
	@mkdir -p $$(@D)
	$$(call QUIET,LINK,$$@)$$(CC) $$(ALL_CFLAGS) $$(ALL_LDFLAGS) -o $$@ $$^ $$(LIBS_$(1)) $$(LIBS_common)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rules,$(p),$(BUILD)/libexec/matador/$(p))))
$(eval $(call program_rules,matador,$(BUILD)/sbin/matador))

# ---- manual pages made from tables --------------------------------------------------------------
$(BUILD)/manuals/%.5: $(BUILD)/tools/%-manual
	@mkdir -p $(@D)
	$< | sed "s/[$$]Mdocdate[$$]/$$(date -u +'%B %-d, %Y')/" >$@.new
	@mv $@.new $@
$(BUILD)/tools/matador-log-manual: tools/log-manual.c common/log/events.def config.mk
	@mkdir -p $(@D)
	$(call QUIET,CC,$@)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -o $@ $<
$(BUILD)/tools/matador-controls-manual: tools/controls-manual.c smtpd/controls/order.def smtpd/controls/facts.def config.mk
	@mkdir -p $(@D)
	$(call QUIET,CC,$@)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -o $@ $<
$(BUILD)/tools/matador-documents-manual: tools/settings-manual.c $(BUILD)/common/libcommon.a config.mk
	@mkdir -p $(@D)
	$(call QUIET,CC,$@)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.c %.a,$^) $(LIBS_common)

# ---- unit tests: tests/unit/PROGRAM/test_X.c over PROGRAM's archive, tests/unit/common over common's --
UNIT_SOURCES := $(wildcard tests/unit/*/test_*.c)
UNIT_TESTS   := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(UNIT_SOURCES))
program_of    = $(word 3,$(subst /, ,$(patsubst $(BUILD)/%,%,$(1))))
archive_of    = $(if $(filter-out common,$(1)),$(BUILD)/$(1)/lib$(1).a)
.SECONDEXPANSION:
$(UNIT_TESTS): %: %.o $$(call archive_of,$$(call program_of,$$@)) $$(ARCHIVES_$$(call program_of,$$@)) $(BUILD)/common/libcommon.a
	@mkdir -p $(@D)
	$(call QUIET,LINK,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter-out %.h,$^) $(LIBS_$(call program_of,$@)) $(LIBS_common) $(CMOCKA_LIBS)

# ---- programs that functional tests use: tests/tools/X.c over smtpd's archive -------------------------
TEST_TOOLS := $(patsubst tests/tools/%.c,$(BUILD)/tests/tools/%,$(wildcard tests/tools/*.c))
test-tools: $(TEST_TOOLS)
$(TEST_TOOLS): %: %.o $(BUILD)/smtpd/libsmtpd.a $(BUILD)/common/libcommon.a
	@mkdir -p $(@D)
	$(call QUIET,LINK,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_smtpd) $(LIBS_common)

check: check-settings check-unit check-manuals check-functional
unit-tests: $(UNIT_TESTS)
check-unit: $(UNIT_TESTS)
	@tools/run-unit-tests $(UNIT_TESTS)
check-functional: programs $(TEST_TOOLS)
	@tools/run-functional-tests $(BUILD)

check-settings:
	@tools/check-settings
check-manuals: $(GENERATED_MANUALS)
	@mandoc -Tlint -Wwarning $(MANUALS) && echo "manuals: $(words $(MANUALS)) passed, 0 failed"

run: programs
	@tools/run-private-instance $(BUILD)
# What a power failure or a failing disk can leave, by the thousand.
TORTURE_TESTS := $(BUILD)/tests/unit/qmgr/test_crash_states $(BUILD)/tests/unit/qmgr/test_store_faults
# One after the other and with what they print: accepted, delivered, duplicated, lost.
torture: programs $(TORTURE_TESTS) $(TEST_TOOLS)
	@for test in $(TORTURE_TESTS); do MATADOR_TORTURE=1 $$test || exit 1; done
	@MATADOR_TORTURE=1 TEST_JOBS=0 tools/run-functional-tests $(BUILD) -s \
		-k "test_kill or test_power_cut or test_damaged_mailbox or test_hostile_walls or test_hostile_disk or test_retry_load or beside_a_slow_one or row_102 or row_103 or row_156 or test_overload or test_random_settings or explain_session_agree or directory_is_away"
mutate:
	@tools/mutate
bench: programs
	@tools/bench $(BUILD)
bench-domains: programs
	@tools/bench-domains $(BUILD)
# What a client costs in long lists.
$(BUILD)/tests/bench/list_matching: $(BUILD)/tests/bench/list_matching.o $(BUILD)/common/libcommon.a
	$(call QUIET,LINK,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_common)
bench-lists: $(BUILD)/tests/bench/list_matching
	@$<

# ---- fuzzers: tests/fuzz/PROGRAM/fuzz_X.c, clang only -------------------------------------------
FUZZ_SOURCES := $(wildcard tests/fuzz/*/fuzz_*.c)
FUZZERS      := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(FUZZ_SOURCES))
$(FUZZERS): $(BUILD)/tests/fuzz/%: tests/fuzz/%.c $$(call archive_of,$$(call program_of,$$@)) $(BUILD)/common/libcommon.a
	@mkdir -p $(@D)
	$(call QUIET,LINK,$@)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBS_$(call program_of,$@)) $(LIBS_common)
fuzz-programs: $(FUZZERS)
fuzz:
	@tools/run-fuzzers

# ---- installation -------------------------------------------------------------------------------
install: programs $(GENERATED_MANUALS)
	$(INSTALL) -d $(DESTDIR)$(sbindir) $(DESTDIR)$(libexecdir)/matador $(DESTDIR)$(mandir)/man8 $(DESTDIR)$(mandir)/man5 \
		$(DESTDIR)$(sysconfdir)/matador/directory $(DESTDIR)$(systemd_unit_dir) $(DESTDIR)$(docdir)/docs/reference
	$(INSTALL) -m 755 $(BUILD)/sbin/matador $(DESTDIR)$(sbindir)/matador
	$(INSTALL) -m 755 $(PROGRAMS:%=$(BUILD)/libexec/matador/%) $(DESTDIR)$(libexecdir)/matador
	$(INSTALL) -m 644 $(filter %.8,$(MANUALS)) $(DESTDIR)$(mandir)/man8
	$(INSTALL) -m 644 $(filter %.5,$(MANUALS)) $(DESTDIR)$(mandir)/man5
	$(INSTALL) -m 644 README.md $(DESTDIR)$(docdir)
	$(INSTALL) -m 644 docs/*.md $(DESTDIR)$(docdir)/docs
	$(INSTALL) -m 644 docs/reference/*.md $(DESTDIR)$(docdir)/docs/reference
	# An administrator's files are never overwritten: the samples go beside them.
	set -e; for file in $$(cd etc && find * -name '*.conf'); do \
		example=$(DESTDIR)$(docdir)/examples/$$file; \
		$(INSTALL) -D -m 644 etc/$$file $$example; \
		sed -i -e 's|/usr/libexec/|$(libexecdir)/|' -e 's|/etc/matador|$(sysconfdir)/matador|' \
			-e 's|/var/|$(localstatedir)/|' -e 's|/run/|$(runstatedir)/|' $$example; \
		test -e $(DESTDIR)$(sysconfdir)/matador/$$file || \
			$(INSTALL) -m 644 $$example $(DESTDIR)$(sysconfdir)/matador/$$file; \
	done
	sed -e 's|@sbindir@|$(sbindir)|' tools/matador.service.in >$(DESTDIR)$(systemd_unit_dir)/matador.service
	if test "$(sendmail_links)" = yes; then \
		$(INSTALL) -d $(DESTDIR)$(mandir)/man1; \
		for page in man8/sendmail.8 man1/mailq.1 man1/newaliases.1; do \
			echo '.so man8/matador.8' >$(DESTDIR)$(mandir)/$$page; \
			chmod 644 $(DESTDIR)$(mandir)/$$page; \
		done; \
		$(INSTALL) -d $(DESTDIR)$(bindir); \
		ln -sf matador $(DESTDIR)$(sbindir)/sendmail; \
		ln -sf $(sbindir)/matador $(DESTDIR)$(bindir)/mailq; \
		ln -sf $(sbindir)/matador $(DESTDIR)$(bindir)/newaliases; \
	fi

# A source archive with configure in it, for machines without autoconf.
dist: configure
	rm -rf matador-$(VERSION)
	mkdir matador-$(VERSION)
	git archive HEAD | tar -x -C matador-$(VERSION)
	cp configure config.h.in matador-$(VERSION)
	mkdir -p matador-$(VERSION)/tools/autoconf
	cp tools/autoconf/install-sh tools/autoconf/config.guess tools/autoconf/config.sub matador-$(VERSION)/tools/autoconf 2>/dev/null || \
		cp tools/autoconf/install-sh matador-$(VERSION)/tools/autoconf
	tar -czf matador-$(VERSION).tar.gz matador-$(VERSION)
	rm -rf matador-$(VERSION)

clean:
	rm -rf $(BUILD)
distclean: clean
	rm -rf config.mk config.h config.h.in config.log config.status configure autom4te.cache tools/autoconf run

-include $(shell find $(BUILD) -type f -name '*.d' 2>/dev/null)
