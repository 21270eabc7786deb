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

# The units of arm64 at EL2 and EL3: copies and sets, address translation.
arm64_image_sources = $(addprefix tests/system/arm64/,boot.S image.c guest.c) tests/hs/mem.c
arm64_mops_sources = $(addprefix tests/system/arm64/,mops.c mops_operation.c mops_run.c)
arm64_at_sources = $(addprefix tests/system/arm64/,at.c at_guest.c at_known.c at_known_types.c \
	at_resident.c at_run.c at_state.c at_tables.c)
arm64_objects = $(patsubst %,units-obj/aarch64/%.o,$(1))
arm64_images = tests/system/arm64/mops.elf tests/system/arm64/at.elf

tests/system/arm64/mops.elf: $(call arm64_objects,$(arm64_image_sources) $(arm64_mops_sources))
tests/system/arm64/at.elf: $(call arm64_objects,$(arm64_image_sources) $(arm64_at_sources))

$(arm64_images): libhvcore-units-aarch64.a $(srcdir)/tests/system/arm64/image.ld
	@$(MKDIR_P) $(@D)
	$(AM_V_CCLD)$(freestanding_cc) aarch64 -static -Wl,--build-id=none -Wl,--no-warn-rwx-segments \
		-Wl,-T,$(srcdir)/tests/system/arm64/image.ld -o $@ $(filter %.o,$^) libhvcore-units-aarch64.a

arm64_all_objects = $(call arm64_objects,$(arm64_image_sources) $(arm64_mops_sources) \
	$(arm64_at_sources))
-include $(arm64_all_objects:.o=.d)

# All of them, also after a failure; 77 is "skipped", which `run` says itself.
.PHONY: check-system
check-system: tests/system/medeleg/medeleg.elf $(arm64_images)
	@bad=0; \
	for image in medeleg/medeleg arm64/mops arm64/at 'arm64/at --el3'; do \
		set -- $$image; echo "# tests/system/$$*"; \
		$(srcdir)/tests/system/$${1%/*}/run $$2 tests/system/$$1.elf || [ $$? = 77 ] || bad=1; \
	done; exit $$bad

CLEANFILES += tests/system/medeleg/medeleg.elf $(arm64_images)

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
