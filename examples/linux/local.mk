# SPDX-License-Identifier: Apache-2.0
# A Linux system of one program, for riscv64: `make linux-guest`. Needs the cross compiler and its
# C library.

linux_init_sources = \
	examples/linux/init.c \
	examples/linux/mistakes.c \
	examples/linux/processors.c
linux_init_headers = examples/linux/init.h examples/linux/work.h

.PHONY: linux-guest
linux-guest: examples/linux/initramfs.cpio

examples/linux/init: $(linux_init_sources) $(linux_init_headers)
	@$(MKDIR_P) $(@D)
	$(AM_V_CCLD)riscv64-linux-gnu-gcc -std=gnu11 -D_GNU_SOURCE $(HVC_WARNINGS) $(HVC_WERROR) -O2 \
		-ffp-contract=off -static -s -o $@ $(addprefix $(top_srcdir)/,$(linux_init_sources)) -lm

examples/linux/initramfs.cpio: examples/linux/init examples/linux/mkinitramfs
	$(AM_V_GEN)$(PYTHON3) $(top_srcdir)/examples/linux/mkinitramfs $< $@

EXTRA_DIST += $(linux_init_sources) $(linux_init_headers) examples/linux/mkinitramfs
CLEANFILES += examples/linux/init examples/linux/initramfs.cpio
