# SPDX-License-Identifier: Apache-2.0
# Images that boot under OpenSBI in QEMU and test the library in HS-mode. Plain GNU make, included by
# tests/local.mk; objects by the rule of the archive's (backends/local.mk), guests by that of the guests.

hs_image_sources = tests/hs/boot.S tests/hs/image.c tests/hs/mem.c
hs_world_sources = $(hs_image_sources) tests/hs/blobs.S tests/hs/equal.c tests/hs/world.c
hs_images = tests/hs/port.elf tests/hs/main.elf tests/hs/figures.elf

hs_object = $(patsubst %,hs-obj/%.o,$(1))

tests/hs/port.elf: $(call hs_object,$(hs_image_sources) tests/hs/port_main.c)
tests/hs/main.elf: $(call hs_object,$(hs_world_sources) tests/hs/main.c)
tests/hs/figures.elf: $(call hs_object,$(hs_world_sources) tests/hs/figures.c)

$(hs_images): $(HS_ARCHIVE) $(srcdir)/tests/hs/image.ld
	@$(MKDIR_P) $(@D)
	$(AM_V_CCLD)$(freestanding_cc) riscv64 -static -Wl,--build-id=none -Wl,--no-warn-rwx-segments \
		-Wl,-T,$(srcdir)/tests/hs/image.ld -o $@ $(filter %.o,$^) $(HS_ARCHIVE)

# What make does not see in an .incbin, and in the guests.
hs-obj/tests/hs/blobs.S.o: tests/guests/hs_guests.bin tests/guests/trap_equal.bin
tests/guests/hs_guests.elf: tests/guests/hs_guests.h

hs_test_objects = $(call hs_object,$(hs_world_sources) tests/hs/port_main.c tests/hs/main.c \
	tests/hs/figures.c)
-include $(hs_test_objects:.o=.d)

CLEANFILES += $(hs_images) $(hs_test_objects) $(hs_test_objects:.o=.d) tests/guests/hs_guests.bin

# All three, also after a failure; 77 is "skipped", which `run` says itself.
.PHONY: hs-images check-hs
hs-images: $(hs_images)

check-hs: $(hs_images)
	@bad=0; \
	for image in port main 'figures --icount'; do \
		set -- $$image; echo "# tests/hs/$$1"; \
		$(srcdir)/tests/hs/run $$2 tests/hs/$$1.elf || [ $$? = 77 ] || bad=1; \
	done; exit $$bad
