# SPDX-License-Identifier: Apache-2.0
# libhvcore-units.a: the pure rooms alone, for whoever writes a hypervisor and wants a fix-up, a walker
# or a decoder without the library around it. They need nothing but memcpy, memmove, memset and memcmp.
#
# lib/policy is not in it: a policy allocates, and its compiled table is read by the run loop alone. Who
# wants policies takes libhvcore, or libhvcore-riscv64-hs.a for an image.
#
#   make units          the hosted archive and, freestanding, one for each architecture
#   make units-size     text of each unit by architecture; aarch64 together must be below 64 KiB
#   make install-units  the freestanding archives too (`make install` has the hosted one)

units_sources = $(fixup_sources) $(walk_sources) $(arch_sources) $(firmware_sources)

lib_LIBRARIES += libhvcore-units.a
libhvcore_units_a_SOURCES = $(units_sources)
libhvcore_units_a_CPPFLAGS = $(HVC_CPPFLAGS)
libhvcore_units_a_CFLAGS = $(STRICT_CFLAGS)
pkgconfig_DATA += hvcore-units.pc

units_archives = libhvcore-units-aarch64.a libhvcore-units-riscv64.a
units_cflags = $(HVC_WARNINGS) $(HVC_WERROR) -O2 -g
# Firmware is called now and then, not at every trap: small before fast.
units-obj/aarch64/lib/firmware/%.o units-obj/riscv64/lib/firmware/%.o: units_cflags += -Os
units_aarch64_objects = $(addprefix units-obj/aarch64/,$(addsuffix .o,$(filter %.c,$(units_sources))))
units_riscv64_objects = $(addprefix units-obj/riscv64/,$(addsuffix .o,$(filter %.c,$(units_sources))))

.PHONY: units units-size install-units
units: libhvcore-units.a $(units_archives)

libhvcore-units-aarch64.a: $(units_aarch64_objects)
	$(AM_V_GEN)rm -f $@ && aarch64-linux-gnu-ar crD $@ $(units_aarch64_objects)

libhvcore-units-riscv64.a: $(units_riscv64_objects)
	$(AM_V_GEN)rm -f $@ && riscv64-linux-gnu-ar crD $@ $(units_riscv64_objects)

units-obj/aarch64/%.o: %
	@$(MKDIR_P) $(@D)
	$(AM_V_CC)$(freestanding_cc) aarch64 $(HVC_CPPFLAGS) $(units_cflags) -MMD -MP -c -o $@ $<

units-obj/riscv64/%.o: %
	@$(MKDIR_P) $(@D)
	$(AM_V_CC)$(freestanding_cc) riscv64 $(HVC_CPPFLAGS) $(units_cflags) -MMD -MP -c -o $@ $<

-include $(units_aarch64_objects:.o=.d) $(units_riscv64_objects:.o=.d)

units-size: units
	$(srcdir)/tests/freestanding/units-size libhvcore-units.a $(filter %.c,$(units_sources))

install-units: units
	$(MKDIR_P) '$(DESTDIR)$(libdir)'
	$(INSTALL_DATA) $(units_archives) '$(DESTDIR)$(libdir)'

CLEANFILES += $(units_archives)
