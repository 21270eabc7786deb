# SPDX-License-Identifier: Apache-2.0
# bare: one object set per (machine, architecture), see backends/bare/port.h.

# The hypervisor half of an architecture: the same code for every machine.
bare_riscv64_sources = \
	backends/bare/bare.h \
	backends/bare/port.h \
	backends/bare/riscv64.c \
	backends/bare/riscv64.h \
	backends/bare/riscv64_event.c \
	backends/bare/riscv64_s2.c \
	backends/bare/riscv64_switch.c

# Machines.
soft_sources = \
	backends/bare/soft/access.c \
	backends/bare/soft/atomic.c \
	backends/bare/soft/csr.c \
	backends/bare/soft/decode.c \
	backends/bare/soft/engine/code.c \
	backends/bare/soft/engine/code.h \
	backends/bare/soft/expand.c \
	backends/bare/soft/float.c \
	backends/bare/soft/insns.h \
	backends/bare/soft/machine.c \
	backends/bare/soft/mmu.c \
	backends/bare/soft/pe.c \
	backends/bare/soft/port_riscv64.h \
	backends/bare/soft/run.c \
	backends/bare/soft/soft.h \
	backends/bare/soft/system.c \
	backends/bare/soft/trap.c
# Its F and D instructions.
soft_fp_sources = \
	backends/bare/soft/fp.h \
	backends/bare/soft/fp_arith.c \
	backends/bare/soft/fp_bits.c \
	backends/bare/soft/fp_convert.c \
	backends/bare/soft/fp_env.c \
	backends/bare/soft/fp_host.h \
	backends/bare/soft/fp_host_aarch64.h \
	backends/bare/soft/fp_host_none.h \
	backends/bare/soft/fp_host_x86_64.h \
	backends/bare/soft/fp_num.c \
	backends/bare/soft/fp_num.h \
	backends/bare/soft/fp_soft.c \
	backends/bare/soft/fp_soft.h
hs_sources = \
	backends/bare/hs/enter.S \
	backends/bare/hs/enter.h \
	backends/bare/hs/pe.c \
	backends/bare/hs/port_riscv64.h

# kvm: the common part and the host's architecture.
kvm_common_sources = \
	backends/kvm/enter.c \
	backends/kvm/error.c \
	backends/kvm/exits.c \
	backends/kvm/kvm.h \
	backends/kvm/memory.c \
	backends/kvm/ops.c \
	backends/kvm/uapi.c \
	backends/kvm/uapi.h \
	backends/kvm/vcpu.c \
	backends/kvm/vm.c \
	backends/kvm/wire.c
kvm_x86_64_sources = \
	backends/kvm/x86_64.c \
	backends/kvm/x86_64.h \
	backends/kvm/x86_64_debug.c \
	backends/kvm/x86_64_duty.c \
	backends/kvm/x86_64_regs.c
kvm_arm64_sources = \
	backends/kvm/arm64.c \
	backends/kvm/arm64.h \
	backends/kvm/arm64_debug.c \
	backends/kvm/arm64_duty.c \
	backends/kvm/arm64_irqchip.c \
	backends/kvm/arm64_regs.c
kvm_riscv64_sources = \
	backends/kvm/riscv64.c \
	backends/kvm/riscv64.h \
	backends/kvm/riscv64_aia.c \
	backends/kvm/riscv64_regs.c \
	backends/kvm/riscv64_trap.c

# Which backends a build has.
builtin_hosted_sources = backends/builtin_hosted.c
builtin_hs_sources = backends/builtin_hs.c

noinst_LTLIBRARIES += backends/libsoft-riscv64.la backends/libsoft.la backends/libsoft-fp.la
backend_libraries = backends/libsoft-riscv64.la backends/libsoft.la backends/libsoft-fp.la

backends_libsoft_riscv64_la_SOURCES = $(bare_riscv64_sources)
backends_libsoft_riscv64_la_CPPFLAGS = $(HVC_CPPFLAGS) -DHVC_MACHINE=soft -DHVC_ARCH=riscv64

# The code pins its arithmetic itself; the flags say the same to the compiler.
SOFT_FP_CFLAGS = -frounding-math -fno-fast-math -ffp-contract=off
backends_libsoft_fp_la_SOURCES = $(soft_fp_sources)
backends_libsoft_fp_la_CPPFLAGS = $(HVC_CPPFLAGS)
backends_libsoft_fp_la_CFLAGS = $(AM_CFLAGS) -Wconversion $(SOFT_FP_CFLAGS)

if KVM_X86_64
kvm_arch_sources = $(kvm_x86_64_sources)
endif
if KVM_ARM64
kvm_arch_sources = $(kvm_arm64_sources)
endif
if KVM_RISCV64
kvm_arch_sources = $(kvm_riscv64_sources)
endif
if KVM
noinst_LTLIBRARIES += backends/libkvm.la
backend_libraries += backends/libkvm.la
backends_libkvm_la_SOURCES = $(kvm_common_sources) $(kvm_arch_sources)
backends_libkvm_la_CPPFLAGS = $(HVC_CPPFLAGS) -D_GNU_SOURCE
endif
EXTRA_DIST += $(kvm_common_sources) $(kvm_x86_64_sources) $(kvm_arm64_sources) $(kvm_riscv64_sources)

backends_libsoft_la_SOURCES = $(soft_sources) $(builtin_hosted_sources)
backends_libsoft_la_CPPFLAGS = $(HVC_CPPFLAGS) $(HVC_KVM_CPPFLAGS)

# --- libhvcore-riscv64-hs.a: everything freestanding, for an image in HS-mode -----------------------
HS_ARCHIVE = libhvcore-riscv64-hs.a
HS_CPPFLAGS = $(HVC_CPPFLAGS) -DHVC_MACHINE=hs -DHVC_ARCH=riscv64
HS_CFLAGS = $(HVC_WARNINGS) $(HVC_WERROR) -O2 -g
freestanding_cc = $(top_srcdir)/scripts/freestanding-cc

hs_all_sources = \
	$(fixup_sources) $(walk_sources) $(arch_sources) $(firmware_sources) $(irqchip_sources) $(policy_sources) \
	$(core_sources) $(run_sources) $(ground_sources) $(metal_sources) $(bare_riscv64_sources) $(hs_sources) \
	$(builtin_hs_sources)
hs_objects = $(addprefix hs-obj/,$(addsuffix .o,$(filter %.c %.S,$(hs_all_sources))))

.PHONY: hs
hs: $(HS_ARCHIVE)

$(HS_ARCHIVE): $(hs_objects)
	$(AM_V_GEN)rm -f $@ && riscv64-linux-gnu-ar crD $@ $(hs_objects)

hs-obj/%.o: %
	@$(MKDIR_P) $(@D)
	$(AM_V_CC)$(freestanding_cc) riscv64 $(HS_CPPFLAGS) $(HS_CFLAGS) -MMD -MP -c -o $@ $<

-include $(hs_objects:.o=.d)

EXTRA_DIST += $(metal_sources) $(hs_sources) $(builtin_hs_sources)
CLEANFILES += $(HS_ARCHIVE) $(hs_objects) $(hs_objects:.o=.d)
