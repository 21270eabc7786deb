# SPDX-License-Identifier: Apache-2.0
# A Linux system of one program, for riscv64: `make linux-guest`; for arm64: `make linux-guest-arm64`.
# Needs the cross compiler and its C library.

linux_init_sources = \
	examples/linux/init.c \
	examples/linux/mistakes.c \
	examples/linux/processors.c
linux_arch_sources = \
	examples/linux/arch_aarch64.c \
	examples/linux/arch_riscv64.c
linux_init_headers = examples/linux/arch.h examples/linux/init.h examples/linux/work.h

linux_inits = examples/linux/init examples/linux/init-aarch64
linux_initramfs = examples/linux/initramfs.cpio examples/linux/initramfs-aarch64.cpio

.PHONY: linux-guest linux-guest-arm64
linux-guest: examples/linux/initramfs.cpio
linux-guest-arm64: examples/linux/initramfs-aarch64.cpio

examples/linux/init: HVC_LINUX_ARCH = riscv64
examples/linux/init-aarch64: HVC_LINUX_ARCH = aarch64
$(linux_inits): $(linux_init_sources) $(linux_arch_sources) $(linux_init_headers)
	@$(MKDIR_P) $(@D)
	$(AM_V_CCLD)$(HVC_LINUX_ARCH)-linux-gnu-gcc -std=gnu11 -D_GNU_SOURCE $(HVC_WARNINGS) \
		$(HVC_WERROR) -O2 -ffp-contract=off -static -s -o $@ \
		$(addprefix $(top_srcdir)/,$(linux_init_sources)) \
		$(top_srcdir)/examples/linux/arch_$(HVC_LINUX_ARCH).c -lm

examples/linux/initramfs.cpio: examples/linux/init
examples/linux/initramfs-aarch64.cpio: examples/linux/init-aarch64
$(linux_initramfs): examples/linux/mkinitramfs
	$(AM_V_GEN)$(PYTHON3) $(top_srcdir)/examples/linux/mkinitramfs $(filter-out %/mkinitramfs,$^) $@

EXTRA_DIST += $(linux_init_sources) $(linux_arch_sources) $(linux_init_headers) \
	examples/linux/mkinitramfs
CLEANFILES += $(linux_inits) $(linux_initramfs)
