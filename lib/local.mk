# SPDX-License-Identifier: Apache-2.0
# The rooms of the library. Each is a convenience library of its own, so that flags can differ.
# The lists are used three times: here, by the freestanding archive (`make hs`), by `make dist`.

# --- pure rooms: no allocation, no host, no backend ------------------------------------------------
fixup_sources = \
	lib/fixup/apf.c \
	lib/fixup/apf_gate.c \
	lib/fixup/apf_layout.c \
	lib/fixup/at.c \
	lib/fixup/at.h \
	lib/fixup/at_decode.c \
	lib/fixup/at_par.c \
	lib/fixup/forward.c \
	lib/fixup/htinst.c \
	lib/fixup/htinst.h \
	lib/fixup/mops.c \
	lib/fixup/nisv_arm64.c \
	lib/fixup/nisv_arm64_insn.c \
	lib/fixup/nisv_arm64_insn.h \
	lib/fixup/nisv_riscv64.c \
	lib/fixup/redirect.c \
	lib/fixup/spe.c \
	lib/fixup/spe_access.c \
	lib/fixup/step.c \
	lib/fixup/storm.c
walk_sources = \
	lib/walk/arm64.c \
	lib/walk/arm64_descend.c \
	lib/walk/arm64_hot.h \
	lib/walk/arm64_memtype.c \
	lib/walk/arm64_params.c \
	lib/walk/arm64_permission.c \
	lib/walk/arm64_permission.h \
	lib/walk/arm64_regs.h \
	lib/walk/arm64_s1.c \
	lib/walk/arm64_s2.c \
	lib/walk/arm64_walk.h \
	lib/walk/riscv64.c \
	lib/walk/riscv64_stage.c \
	lib/walk/riscv64_stage.h
arch_sources = \
	lib/arch/riscv64.c \
	lib/arch/riscv64.h
firmware_sources = \
	lib/firmware/sbi.c \
	lib/firmware/sbi_apf.c \
	lib/firmware/sdei.c \
	lib/firmware/smccc.c \
	lib/firmware/sse.c
irqchip_sources = \
	lib/irqchip/plic.c \
	lib/irqchip/plic.h
policy_sources = \
	lib/policy/compile.c \
	lib/policy/decide.c \
	lib/policy/decide.h \
	lib/policy/policy.c \
	lib/policy/policy.h \
	lib/policy/rule.c

# --- freestanding rooms -----------------------------------------------------------------------------
# Names of registers that only a kernel has are not for the units.
core_sources = \
	lib/arch/arm64_regs.c \
	lib/arch/regs.h \
	lib/arch/x86_64_regs.c \
	lib/core/core.h \
	lib/core/ctx.c \
	lib/core/error.c \
	lib/core/error.h \
	lib/core/irq.c \
	lib/core/irqchip.c \
	lib/core/kernel.c \
	lib/core/map.c \
	lib/core/mem.c \
	lib/core/mmio.c \
	lib/core/reg.c \
	lib/core/reg.h \
	lib/core/rendezvous.c \
	lib/core/rendezvous.h \
	lib/core/trap_policy.c \
	lib/core/vcpu.c \
	lib/core/vcpu.h \
	lib/core/vm.c
run_sources = \
	lib/run/answer.c \
	lib/run/kernel.c \
	lib/run/lockstep.c \
	lib/run/outside.c \
	lib/run/riscv64.c \
	lib/run/run.c \
	lib/run/run.h \
	lib/run/sbi.c \
	lib/run/wait.c

# --- the ground: posix is hosted, metal is only in freestanding archives ----------------------------
ground_sources = \
	lib/host/format.c \
	lib/host/host.h \
	lib/host/mem.h
posix_sources = \
	lib/host/posix.c
metal_sources = \
	lib/host/metal.c \
	lib/host/metal.h \
	lib/host/metal_riscv64.h

# --- hosted only ------------------------------------------------------------------------------------
json_sources = \
	lib/policy/json.c \
	lib/policy/json_read.c \
	lib/policy/json_read.h \
	lib/policy/json_tree.c \
	lib/policy/json_where.c \
	lib/policy/json_where.h

STRICT_CFLAGS = $(AM_CFLAGS) -Wconversion

lib_libfixup_la_SOURCES = $(fixup_sources)
lib_libfixup_la_CPPFLAGS = $(HVC_CPPFLAGS)
lib_libfixup_la_CFLAGS = $(STRICT_CFLAGS)

lib_libwalk_la_SOURCES = $(walk_sources)
lib_libwalk_la_CPPFLAGS = $(HVC_CPPFLAGS)
lib_libwalk_la_CFLAGS = $(STRICT_CFLAGS)

lib_libpolicy_la_SOURCES = $(policy_sources)
lib_libpolicy_la_CPPFLAGS = $(HVC_CPPFLAGS)
lib_libpolicy_la_CFLAGS = $(STRICT_CFLAGS)

lib_libarch_la_SOURCES = $(arch_sources)
lib_libarch_la_CPPFLAGS = $(HVC_CPPFLAGS)

lib_libfirmware_la_SOURCES = $(firmware_sources)
lib_libfirmware_la_CPPFLAGS = $(HVC_CPPFLAGS)

lib_libirqchip_la_SOURCES = $(irqchip_sources)
lib_libirqchip_la_CPPFLAGS = $(HVC_CPPFLAGS)
lib_libirqchip_la_CFLAGS = $(STRICT_CFLAGS)

lib_libcore_la_SOURCES = $(core_sources)
lib_libcore_la_CPPFLAGS = $(HVC_CPPFLAGS)

lib_librun_la_SOURCES = $(run_sources)
lib_librun_la_CPPFLAGS = $(HVC_CPPFLAGS)

lib_libground_la_SOURCES = $(ground_sources)
lib_libground_la_CPPFLAGS = $(HVC_CPPFLAGS)

lib_libposix_la_SOURCES = $(posix_sources)
lib_libposix_la_CPPFLAGS = $(HVC_CPPFLAGS) -D_GNU_SOURCE

lib_libjson_la_SOURCES = $(json_sources)
lib_libjson_la_CPPFLAGS = $(HVC_CPPFLAGS) -D_POSIX_C_SOURCE=200809L $(JSON_C_CFLAGS)

room_libraries = \
	lib/libfixup.la lib/libwalk.la lib/libpolicy.la lib/libarch.la lib/libfirmware.la \
	lib/libirqchip.la \
	lib/libcore.la lib/librun.la lib/libground.la lib/libposix.la lib/libjson.la

# Everything hosted, with its hidden functions: what the unit tests link.
lib_libhvcore_all_la_SOURCES =
lib_libhvcore_all_la_LIBADD = $(room_libraries) $(backend_libraries)

noinst_LTLIBRARIES += $(room_libraries) lib/libhvcore-all.la

# --- the library ------------------------------------------------------------------------------------
lib_LTLIBRARIES += lib/libhvcore.la
lib_libhvcore_la_SOURCES =
lib_libhvcore_la_LIBADD = lib/libhvcore-all.la $(JSON_C_LIBS)
lib_libhvcore_la_LDFLAGS = $(AM_LDFLAGS) -no-undefined -version-info $(HVC_LT_VERSION) \
	-Wl,--version-script=$(top_srcdir)/lib/libhvcore.map
EXTRA_lib_libhvcore_la_DEPENDENCIES = lib/libhvcore.map
EXTRA_DIST += lib/libhvcore.map

include lib/units.mk
