# SPDX-License-Identifier: Apache-2.0
# F and D against QEMU's user mode: `make check-fp`, part of check-system. The programs that run in there
# have no C library: one executes the instructions, one has the library's functions on AArch64.

EXTRA_PROGRAMS += tests/system/fp_qemu
EXTRA_DIST += tests/system/fp_operands.h tests/system/fp_server.c tests/system/fp_wire.h
fp_programs = tests/system/fp_riscv64.elf tests/system/fp_aarch64.elf
CLEANFILES += tests/system/fp_qemu$(EXEEXT) $(fp_programs)

fp_server = $(top_srcdir)/tests/system/fp_server.c
fp_server_flags = $(HVC_CPPFLAGS) $(HVC_WARNINGS) -O2 -static -Wl,--build-id=none
fp_functions = $(addprefix $(top_srcdir)/,$(filter %.c,$(soft_fp_sources)))

tests/system/fp_riscv64.elf: $(fp_server) $(top_srcdir)/tests/system/fp_wire.h
	@$(MKDIR_P) $(@D)
	$(AM_V_CCLD)$(freestanding_cc) riscv64 -march=rv64gc -mabi=lp64d -mno-relax $(fp_server_flags) \
		-o $@ $(fp_server)

# Not freestanding_cc: that forbids the FPU.
tests/system/fp_aarch64.elf: $(fp_server) $(addprefix $(top_srcdir)/,$(soft_fp_sources)) \
		$(top_srcdir)/tests/system/fp_wire.h
	@$(MKDIR_P) $(@D)
	$(AM_V_CCLD)aarch64-linux-gnu-gcc -std=c11 -ffreestanding -nostdlib $(SOFT_FP_CFLAGS) \
		$(fp_server_flags) -o $@ $(fp_server) $(fp_functions) -lgcc

.PHONY: check-fp
check-fp: tests/system/fp_qemu$(EXEEXT) $(fp_programs)
	@echo "# tests/system/fp_qemu"
	@timeout 150 tests/system/fp_qemu $(fp_programs) || [ $$? = 77 ]

check-system: check-fp
