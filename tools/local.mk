# SPDX-License-Identifier: Apache-2.0
# The command line tool: public API only.

bin_PROGRAMS += tools/hvcore/hvcore
tools_hvcore_hvcore_SOURCES = \
	tools/hvcore/arch.c \
	tools/hvcore/arch.h \
	tools/hvcore/backend.c \
	tools/hvcore/backend.h \
	tools/hvcore/board.c \
	tools/hvcore/board.h \
	tools/hvcore/board_arm64.c \
	tools/hvcore/board_arm64.h \
	tools/hvcore/board_riscv64.c \
	tools/hvcore/board_riscv64.h \
	tools/hvcore/board_x86_64.c \
	tools/hvcore/cancel.c \
	tools/hvcore/check.c \
	tools/hvcore/cli.h \
	tools/hvcore/console.c \
	tools/hvcore/dt.c \
	tools/hvcore/dt.h \
	tools/hvcore/elf.c \
	tools/hvcore/elf.h \
	tools/hvcore/exits.c \
	tools/hvcore/file.c \
	tools/hvcore/file.h \
	tools/hvcore/help.c \
	tools/hvcore/isa.c \
	tools/hvcore/isa.h \
	tools/hvcore/kernel.c \
	tools/hvcore/kernel.h \
	tools/hvcore/load.c \
	tools/hvcore/lockstep.c \
	tools/hvcore/main.c \
	tools/hvcore/msg.c \
	tools/hvcore/options.c \
	tools/hvcore/pl011.c \
	tools/hvcore/pl011.h \
	tools/hvcore/policy.c \
	tools/hvcore/probe.c \
	tools/hvcore/report.c \
	tools/hvcore/run.c \
	tools/hvcore/run.h \
	tools/hvcore/serial.c \
	tools/hvcore/serial.h \
	tools/hvcore/side.c \
	tools/hvcore/sniff.c \
	tools/hvcore/sniff.h \
	tools/hvcore/stats.c \
	tools/hvcore/table.c \
	tools/hvcore/table.h \
	tools/hvcore/terminal.c \
	tools/hvcore/trace.c \
	tools/hvcore/trace.h \
	tools/hvcore/tree.c \
	tools/hvcore/tree.h \
	tools/hvcore/tree_arm64.c \
	tools/hvcore/tree_riscv64.c \
	tools/hvcore/uart.c \
	tools/hvcore/uart.h \
	tools/hvcore/unanswered.c \
	tools/hvcore/unanswered.h \
	tools/hvcore/watch.c \
	tools/hvcore/watch.h \
	tools/hvcore/words.c \
	tools/hvcore/words.h
tools_hvcore_hvcore_LDADD = lib/libhvcore.la $(JSON_C_LIBS) $(LIBFDT_LIBS)

dist_man1_MANS = docs/hvcore.1

bashcompletiondir = $(datadir)/bash-completion/completions
bashcompletion_DATA = tools/hvcore/bash-completion/hvcore
$(bashcompletion_DATA): tools/hvcore/completion.bash
	@$(MKDIR_P) $(@D)
	$(AM_V_GEN)cp $(srcdir)/tools/hvcore/completion.bash $@

EXTRA_DIST += tools/hvcore/completion.bash
CLEANFILES += $(bashcompletion_DATA)

# --- its tests: need the guests, so the cross compiler, and pytest -------------------------------------
EXTRA_DIST += tests/cli

cli_drivers = tests/unit/tree_driver tests/unit/uart_driver
EXTRA_PROGRAMS += $(cli_drivers)
tests_unit_uart_driver_SOURCES = tests/unit/uart_driver.c tools/hvcore/pl011.c \
	tools/hvcore/serial.c tools/hvcore/uart.c
tests_unit_uart_driver_LDADD =
tests_unit_tree_driver_SOURCES = tests/unit/tree_driver.c tools/hvcore/dt.c tools/hvcore/file.c \
	tools/hvcore/isa.c tools/hvcore/msg.c tools/hvcore/tree.c tools/hvcore/tree_arm64.c \
	tools/hvcore/tree_riscv64.c
tests_unit_tree_driver_LDADD = lib/libhvcore.la $(LIBFDT_LIBS)
CLEANFILES += $(cli_drivers)

.PHONY: check-cli
check-cli: tools/hvcore/hvcore $(cli_drivers) guests
	HVCORE_BIN=$(abs_builddir)/tools/hvcore/hvcore HVCORE_GUESTS=$(abs_builddir)/tests/guests \
		HVCORE_BUILD=$(abs_builddir) HVCORE_UART_DRIVER=$(abs_builddir)/tests/unit/uart_driver \
		HVCORE_TREE_DRIVER=$(abs_builddir)/tests/unit/tree_driver \
		$(PYTHON_CFFI) -B -m pytest -q -p no:cacheprovider $(srcdir)/tests/cli

# --- Debian's kernel: HVCORE_BOOTS times each way ------------------------------------------------------
EXTRA_DIST += tests/linux

.PHONY: check-linux
check-linux: tools/hvcore/hvcore linux-guest
	HVCORE_BIN=$(abs_builddir)/tools/hvcore/hvcore \
		HVCORE_INITRAMFS=$(abs_builddir)/examples/linux/initramfs.cpio \
		HVCORE_KERNEL="$$($(srcdir)/scripts/debian-kernel)" \
		$(PYTHON_CFFI) -B -m pytest -q -rs -p no:cacheprovider $(srcdir)/tests/linux

# --- scripts/demo on hardware: an image in HS-mode that runs one guest under one policy ------------------
hs_demo_sources = \
	tests/hs/boot.S \
	tests/hs/demo_main.c \
	tests/hs/image.c \
	tests/hs/mem.c \
	tests/hs/world.c
hs_demo_parts = \
	tests/guests/hs_guests.h \
	tests/hs/image.h \
	tests/hs/image.ld \
	tests/hs/sbi.h \
	tests/hs/world.h

.PHONY: hs-demo
hs-demo: tests/hs/demo.elf

tests/hs/demo.elf: $(hs_demo_sources) $(hs_demo_parts) $(HS_ARCHIVE)
	@$(MKDIR_P) $(@D)
	$(AM_V_CCLD)$(freestanding_cc) riscv64 $(HVC_CPPFLAGS) $(HVC_WARNINGS) $(HVC_WERROR) -O2 -g -static \
		-Wl,--build-id=none -Wl,-T,$(top_srcdir)/tests/hs/image.ld -o $@ \
		$(addprefix $(top_srcdir)/,$(hs_demo_sources)) $(HS_ARCHIVE)

CLEANFILES += tests/hs/demo.elf
