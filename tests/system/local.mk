# SPDX-License-Identifier: Apache-2.0
# Programs that run the units on emulated hardware. Plain GNU make, included by tests/local.mk; objects
# by the rule of the freestanding archives (lib/units.mk), which they link.

medeleg_sources = tests/system/medeleg/boot.S tests/system/medeleg/main.c tests/hs/mem.c
medeleg_objects = $(patsubst %,units-obj/riscv64/%.o,$(medeleg_sources))

tests/system/medeleg/medeleg.elf: $(medeleg_objects) libhvcore-units-riscv64.a \
		$(srcdir)/tests/system/medeleg/image.ld
	@$(MKDIR_P) $(@D)
	$(AM_V_CCLD)$(freestanding_cc) riscv64 -static -Wl,--build-id=none -Wl,--no-warn-rwx-segments \
		-Wl,-T,$(srcdir)/tests/system/medeleg/image.ld -o $@ $(medeleg_objects) libhvcore-units-riscv64.a

-include $(medeleg_objects:.o=.d)

# 77 is "skipped", which `run` says itself.
.PHONY: check-system
check-system: tests/system/medeleg/medeleg.elf
	@echo "# tests/system/medeleg"
	@$(srcdir)/tests/system/medeleg/run tests/system/medeleg/medeleg.elf || [ $$? = 77 ]

CLEANFILES += tests/system/medeleg/medeleg.elf

# --- the software machine and QEMU, instruction by instruction -----------------------------------
tests/system/lockstep/monitor.bin: $(srcdir)/tests/system/lockstep/monitor.S
	@$(MKDIR_P) $(@D)
	$(AM_V_GEN)riscv64-linux-gnu-gcc -nostdlib -march=rv64gc -Wl,-Ttext=0x80000000 \
		-Wl,--build-id=none -o $(@:.bin=.elf) $< && \
		riscv64-linux-gnu-objcopy -O binary -j .text $(@:.bin=.elf) $@

LOCKSTEP_INSNS = 1000000
.PHONY: check-lockstep
check-lockstep: tests/system/lockstep/lockstep$(EXEEXT) tests/system/lockstep/monitor.bin
	$(srcdir)/tests/system/lockstep/run $^ $(LOCKSTEP_INSNS)

CLEANFILES += tests/system/lockstep/lockstep$(EXEEXT) tests/system/lockstep/monitor.bin \
	tests/system/lockstep/monitor.elf
