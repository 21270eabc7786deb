# SPDX-License-Identifier: Apache-2.0
# The public API, installed as <hvcore/...>; one variable a folder.

hvcore_headersdir = $(includedir)/hvcore
hvcore_headers_HEADERS = \
	include/hvcore/arm64.h \
	include/hvcore/ctx.h \
	include/hvcore/debug.h \
	include/hvcore/duty.h \
	include/hvcore/error.h \
	include/hvcore/event.h \
	include/hvcore/hvcore.h \
	include/hvcore/irqchip.h \
	include/hvcore/mem.h \
	include/hvcore/policy.h \
	include/hvcore/reg.h \
	include/hvcore/result.h \
	include/hvcore/riscv64.h \
	include/hvcore/stats.h \
	include/hvcore/types.h \
	include/hvcore/vcpu.h \
	include/hvcore/vm.h \
	include/hvcore/x-backend.h

firmware_headersdir = $(includedir)/hvcore/firmware
firmware_headers_HEADERS = \
	include/hvcore/firmware/sbi.h \
	include/hvcore/firmware/sbi_apf.h \
	include/hvcore/firmware/sdei.h \
	include/hvcore/firmware/smccc.h \
	include/hvcore/firmware/sse.h

fixup_headersdir = $(includedir)/hvcore/fixup
fixup_headers_HEADERS = \
	include/hvcore/fixup/access.h \
	include/hvcore/fixup/apf.h \
	include/hvcore/fixup/arm64_state.h \
	include/hvcore/fixup/at.h \
	include/hvcore/fixup/forward.h \
	include/hvcore/fixup/mops.h \
	include/hvcore/fixup/nisv.h \
	include/hvcore/fixup/nisv_arm64.h \
	include/hvcore/fixup/redirect.h \
	include/hvcore/fixup/spe.h \
	include/hvcore/fixup/step.h \
	include/hvcore/fixup/storm.h

walk_headersdir = $(includedir)/hvcore/walk
walk_headers_HEADERS = \
	include/hvcore/walk/arm64.h \
	include/hvcore/walk/riscv64.h
