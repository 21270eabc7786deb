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
