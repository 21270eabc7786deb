# SPDX-License-Identifier: Apache-2.0
# Programs that use /dev/kvm. `make check-kvm` runs them on this machine and on Debian's kernels in
# QEMU (tests/kvm/run). A new one is one line here, its source is NAME.c; it prints lines `ok NAME`,
# `not ok NAME` or `skip NAME: REASON`, and `N passed, N failed, N skipped` at the end. Arguments,
# other time limits, other rows: tests/kvm/list.

kvm_programs = \
	tests/kvm/cancel \
	tests/kvm/raw \
	tests/kvm/userfault \
	tests/kvm/windows
if KVM_X86_64
kvm_programs += tests/kvm/fail tests/kvm/hostile tests/kvm/x86_64
endif
if KVM_ARM64
kvm_programs += tests/kvm/arm64 tests/kvm/arm64_debug tests/kvm/arm64_duty tests/kvm/arm64_irq \
	tests/kvm/arm64_run tests/kvm/boot
endif
if KVM_RISCV64
kvm_programs += tests/kvm/boot tests/kvm/riscv64 tests/kvm/riscv64_exits \
	tests/kvm/riscv64_irq tests/kvm/riscv64_mmio tests/kvm/riscv64_run
endif

EXTRA_PROGRAMS += tests/kvm/init $(kvm_programs)
CLEANFILES += tests/kvm/init$(EXEEXT) $(kvm_programs) tests/kvm/programs
EXTRA_DIST += tests/kvm/arm64.h tests/kvm/riscv64.h tests/kvm/worker.h tests/kvm/list tests/kvm/run

tests_kvm_cancel_SOURCES = tests/unit/cancel.c
tests_kvm_cancel_CPPFLAGS = $(AM_CPPFLAGS) -DHVC_CANCEL_KVM

# System calls of the library go through the test.
tests_kvm_windows_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=ioctl,--wrap=mmap,--wrap=sigtimedwait,--wrap=timer_settime

# Its sums are those of the guest's init, which is built without contraction, too.
tests_kvm_boot_CFLAGS = $(AM_CFLAGS) -ffp-contract=off
tests_kvm_boot_LDADD = $(LDADD) -lm

# These two know nothing of the library.
tests_kvm_init_LDADD =
tests_kvm_raw_LDADD =

# These make system calls fail.
tests_kvm_fail_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=calloc,--wrap=free,--wrap=mmap,--wrap=munmap \
	-Wl,--wrap=open,--wrap=close,--wrap=pread,--wrap=ioctl,--wrap=pthread_sigmask \
	-Wl,--wrap=timer_create,--wrap=timer_settime,--wrap=timer_delete
tests_kvm_hostile_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=open,--wrap=ioctl,--wrap=mmap

# All that a row holds, and its names for tests/kvm/run.
.PHONY: kvm-programs check-kvm check-kvm-here
kvm-programs: tests/kvm/init$(EXEEXT) $(kvm_programs) tools/hvcore/hvcore$(EXEEXT)
	@printf '%s\n' $(kvm_programs) >tests/kvm/programs

check-kvm:
	$(top_srcdir)/tests/kvm/run -b '$(abs_builddir)'

# The programs of this build (with its sanitizers), on this machine.
check-kvm-here: $(kvm_programs)
	@if [ -r /dev/kvm ] && [ -w /dev/kvm ]; \
	then for program in $(kvm_programs); do echo "== $$program"; HVC_CANCELS=10000 ./$$program || bad=1; done; \
	else echo "skip kvm: /dev/kvm cannot be used here; 0 passed, 0 failed, 1 skipped"; fi; [ -z "$$bad" ]

distclean-local:
	rm -rf cross-aarch64 cross-riscv64 cross-x86_64 kvm-logs
