# SPDX-License-Identifier: Apache-2.0
# make check: CUnit programs. A new one is one line in unit_tests; its source is NAME.c.
# Beside it, targets that scripts/test runs one by one; `make check-all` runs them all.

unit_tests = \
	tests/system/soft_qemu \
	tests/unit/apf \
	tests/unit/apf_gate \
	tests/unit/at \
	tests/unit/at_race \
	tests/unit/cancel \
	tests/unit/core \
	tests/unit/core_map \
	tests/unit/core_model \
	tests/unit/fail \
	tests/unit/forward \
	tests/unit/hart \
	tests/unit/irq \
	tests/unit/irqchip \
	tests/unit/lockstep \
	tests/unit/mops \
	tests/unit/nisv \
	tests/unit/nisv_arm64 \
	tests/unit/plic \
	tests/unit/policy \
	tests/unit/policy_facts \
	tests/unit/policy_json \
	tests/unit/policy_vectors \
	tests/unit/redirect \
	tests/unit/rendezvous \
	tests/unit/run \
	tests/unit/sbi \
	tests/unit/sdei \
	tests/unit/smccc \
	tests/unit/soft_fp \
	tests/unit/soft_fp_encoding \
	tests/unit/soft_fp_env \
	tests/unit/soft_riscv64_access \
	tests/unit/soft_riscv64_atomic \
	tests/unit/soft_riscv64_c \
	tests/unit/soft_riscv64_code \
	tests/unit/soft_riscv64_csr \
	tests/unit/soft_riscv64_doc \
	tests/unit/soft_riscv64_ext \
	tests/unit/soft_riscv64_hostile \
	tests/unit/soft_riscv64_insn \
	tests/unit/soft_riscv64_memory \
	tests/unit/soft_riscv64_mmu \
	tests/unit/soft_riscv64_run \
	tests/unit/soft_riscv64_trap \
	tests/unit/soft_riscv64_unmap \
	tests/unit/spe \
	tests/unit/sse \
	tests/unit/step \
	tests/unit/storm \
	tests/unit/trap_equal \
	tests/unit/walk_arm64 \
	tests/unit/walk_arm64_hot \
	tests/unit/walk_riscv64

# What several of them use; linked to all.
unit_helpers = \
	tests/unit/toy.c

unit_headers = \
	tests/unit/apf_world.h \
	tests/unit/at_vectors.h \
	tests/unit/at_world.h \
	tests/unit/core.h \
	tests/unit/guest.h \
	tests/unit/policy.h \
	tests/unit/random.h \
	tests/unit/rv.h \
	tests/unit/soft.h \
	tests/unit/soft_ext.h \
	tests/unit/toy.h \
	tests/unit/unit.h \
	tests/unit/vectors.h

# A test that looks inside the software machine's object set.
tests_unit_trap_equal_CPPFLAGS = $(AM_CPPFLAGS) -DHVC_MACHINE=soft -DHVC_ARCH=riscv64 \
	-DHVC_GUESTS_DIR='"$(abs_builddir)/tests/guests"'

# The units behind a line of text, for tests/unit/diff_NAME.py.
model_drivers = tests/unit/apf_driver tests/unit/at_driver tests/unit/riscv_driver

# Tests that make allocations and system calls fail.
tests_unit_fail_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=calloc,--wrap=malloc,--wrap=realloc,--wrap=free \
	-Wl,--wrap=mmap,--wrap=munmap,--wrap=memfd_create,--wrap=ftruncate,--wrap=fstat,--wrap=close,--wrap=open
# It looks at the thread's environment by the C library's functions.
tests_unit_soft_fp_env_LDADD = $(LDADD) -lm
tests_unit_policy_json_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=hvc_host_alloc

# Those that are worth running under the thread sanitizer (a subset of unit_tests).
thread_tests = \
	tests/unit/cancel \
	tests/unit/core \
	tests/unit/core_map \
	tests/unit/core_model \
	tests/unit/hart \
	tests/unit/irq \
	tests/unit/irqchip \
	tests/unit/lockstep \
	tests/unit/policy \
	tests/unit/rendezvous \
	tests/unit/run \
	tests/unit/soft_riscv64_atomic \
	tests/unit/soft_riscv64_run \
	tests/unit/soft_riscv64_unmap

if TESTS_ENABLED
check_PROGRAMS += $(unit_tests) $(model_drivers)
check_LIBRARIES += tests/unit/libunit.a
TESTS += $(unit_tests)
endif

# No test hangs: 77 is "skipped", 124 a timeout.
LOG_COMPILER = timeout
AM_LOG_FLAGS = 150

AM_CPPFLAGS += $(CUNIT_CFLAGS) -DHVC_VECTORS_DIR='"$(abs_top_srcdir)/tests/vectors"'
tests_unit_libunit_a_SOURCES = $(unit_helpers) $(unit_headers)
LDADD = tests/unit/libunit.a lib/libhvcore-all.la $(CUNIT_LIBS) $(JSON_C_LIBS)

EXTRA_DIST += tests/proofs tests/mutants tests/fuzz
EXTRA_DIST += tests/abi tests/freestanding tests/guests tests/hs tests/vectors
# tests/unit/policy_json runs the examples of the manual, soft_riscv64_doc compares the table.
EXTRA_DIST += docs/policy.md docs/riscv64.md
EXTRA_DIST += tests/install tests/models tests/unit/diff.py
EXTRA_DIST += tests/unit/diff_apf.py tests/unit/diff_at.py tests/unit/diff_riscv.py

# The software machine beside QEMU; its rules are in tests/system/local.mk.
EXTRA_PROGRAMS += tests/system/lockstep/lockstep
tests_system_lockstep_lockstep_SOURCES = tests/system/lockstep/lockstep.c \
	tests/system/lockstep/lockstep.h tests/system/lockstep/streams.c
EXTRA_DIST += tests/system/lockstep/monitor.S tests/system/lockstep/run

# --- guests: assembly for riscv64, with the cross compiler; `make guests`, and some for the unit tests --
guest_sources = \
	tests/guests/badroot.S \
	tests/guests/echo.S \
	tests/guests/hello.S \
	tests/guests/hs_guests.S \
	tests/guests/mistakes.S \
	tests/guests/mmio.S \
	tests/guests/selfroot.S \
	tests/guests/spin.S \
	tests/guests/stvec0.S \
	tests/guests/trap_equal.S \
	tests/guests/wfi.S \
	tests/guests/wild.S

guests = $(guest_sources:.S=.elf)
guest_parts = tests/guests/guest.inc tests/guests/guest.ld tests/guests/trap_equal.h
guest_binaries = tests/guests/trap_equal.bin

# Those for x86_64, by the native compiler where it is one of that architecture.
x86_guests = tests/guests/x86_hello.elf tests/guests/x86_real.elf
native_guests = $(if $(filter x86_64,$(host_cpu)),$(x86_guests))

.PHONY: guests
guests: $(guests) $(guest_binaries) $(native_guests)

# Unit tests run some of them, and skip what needs them without the cross compiler.
if RISCV64_CC
check_DATA = $(guest_binaries)
endif

tests/guests/%.bin: tests/guests/%.elf
	$(AM_V_GEN)riscv64-linux-gnu-objcopy -O binary $< $@

tests/guests/%.elf: tests/guests/%.S $(guest_parts)
	@$(MKDIR_P) $(@D)
	$(AM_V_CCLD)$(freestanding_cc) riscv64 -static -I $(srcdir) -I $(srcdir)/tests/guests \
		-Wl,--build-id=none -Wl,-T,$(srcdir)/tests/guests/guest.ld -o $@ $<

tests/guests/x86_hello.elf: HVC_GUEST = -m64 -Wl,--defsym=guest_base=0x100000
tests/guests/x86_real.elf: HVC_GUEST = -m32 -Wl,--defsym=guest_base=0x7c00
$(x86_guests): tests/guests/%.elf: tests/guests/%.S tests/guests/flat.ld
	@$(MKDIR_P) $(@D)
	$(AM_V_CCLD)$(CC) $(HVC_GUEST) -static -nostdlib -no-pie -Wl,--build-id=none \
		-Wl,-T,$(srcdir)/tests/guests/flat.ld -o $@ $<

# For arm64, which a host with its KVM runs: not in `guests`, built when it is asked for.
tests/guests/arm64_hello.elf: tests/guests/arm64_hello.S tests/guests/flat.ld
	@$(MKDIR_P) $(@D)
	$(AM_V_CCLD)$(freestanding_cc) aarch64 -static -Wl,--build-id=none \
		-Wl,--defsym=guest_base=0x40000000 -Wl,-T,$(srcdir)/tests/guests/flat.ld -o $@ $<

CLEANFILES += $(guests) $(guest_binaries) $(x86_guests) tests/guests/arm64_hello.elf

# Images in HS-mode; that fragment is plain GNU make and uses $(HS_ARCHIVE) and $(freestanding_cc).
-include $(top_srcdir)/tests/hs/local.mk

# Images that hold the units against emulated hardware: `make check-system`.
-include $(top_srcdir)/tests/system/local.mk
include tests/system/fp.mk
EXTRA_DIST += tests/system/local.mk tests/system/medeleg tests/system/arm64

# --- targets ------------------------------------------------------------------------------------------
.PHONY: check-all check-abi check-headers check-docs check-spdx check-sources check-format \
	check-freestanding check-threads check-long bench

check-all: check check-abi check-headers check-docs check-spdx check-sources check-format \
	check-freestanding

check-abi: lib/libhvcore.la
	$(srcdir)/tests/abi/check-symbols lib/.libs/libhvcore.so
	CC='$(CC)' $(PYTHON3) $(srcdir)/tests/abi/check-layout

check-headers:
	CC='$(CC)' CXX='$(CXX)' $(srcdir)/tests/abi/check-headers

check-docs:
	$(PYTHON3) $(srcdir)/scripts/api docs

check-spdx:
	$(srcdir)/scripts/check-spdx

check-sources:
	$(srcdir)/scripts/check-sources

check-format:
	CLANG_FORMAT='$(CLANG_FORMAT)' $(srcdir)/scripts/format --check

check-freestanding:
	$(srcdir)/tests/freestanding/check

check-threads:
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(thread_tests)'

# What takes long: all proofs, every mutant, ten minutes of each fuzzer, twenty boots each way, and ten times
# as many states against the models, where HVCORE_MODELS names them.
check-long: check check-proofs check-mutants check-models
	HVCORE_BOOTS=20 $(MAKE) $(AM_MAKEFLAGS) check-linux
	HVC_HOSTILE_WORDS=100000000 tests/unit/soft_riscv64_hostile
	HVC_ATOMIC_ROUNDS=2000000 tests/unit/soft_riscv64_atomic
	HVC_UNMAP_ROUNDS=500 tests/unit/soft_riscv64_unmap
	$(MAKE) $(AM_MAKEFLAGS) tests/kvm/cancel && if [ -w /dev/kvm ]; then tests/kvm/cancel 10000000; fi
	$(srcdir)/tests/fuzz/run -t $${HVC_FUZZ_SECONDS:-600} fuzz

include tests/bench/local.mk

# What the units owe beside their tests: proofs for all inputs (CBMC), mutants that the tests must catch,
# fuzzers (clang). HVC_FUZZ_SECONDS: for each.
.PHONY: check-proofs check-mutants check-models check-installed fuzz-smoke

check-proofs:
	$(srcdir)/tests/proofs/run --long
	$(srcdir)/tests/proofs/run --long --broken

check-mutants: lib/libhvcore-all.la
	$(srcdir)/tests/mutants/run .

# pkg-config's flags and nothing else, in a temporary root.
check-installed: all
	CC='$(CC)' $(srcdir)/tests/install/check .

check-models: $(model_drivers)
	PYTHON3='$(PYTHON3)' $(srcdir)/tests/models/run . 10 || test $$? = 77

fuzz-smoke:
	$(srcdir)/tests/fuzz/run fuzz

clean-local:
	rm -rf fuzz units-obj
