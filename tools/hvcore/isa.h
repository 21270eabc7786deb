/* SPDX-License-Identifier: Apache-2.0 */
/* What the harts of a riscv64 VM are, as its device tree says it. */
#ifndef ISA_H
#define ISA_H

#include <stddef.h>
#include <stdint.h>

enum { ISA_MOST = 512 };

struct isa {
    char line[ISA_MOST];       /* riscv,isa: rv64imafdc_zicsr... */
    char extensions[ISA_MOST]; /* riscv,isa-extensions: names, each with its NUL */
    size_t extensions_len;
    uint32_t cbom, cboz; /* bytes of a cache block; 0: no such extension */
    char mmu[16];        /* mmu-type */
    uint32_t timebase;
};

/* Those of the software machine (HVCORE_RISCV64_ISA_DEFAULT). */
void isa_soft(struct isa *isa);

/* Those of a guest of this host's kernel: what the host's own harts have, as far as a KVM of today
 * lets every guest have it. */
void isa_host(struct isa *isa);

/* The same from texts: /proc/cpuinfo, and the folder of the host's device tree (may be missing). */
void isa_from(struct isa *isa, const char *cpuinfo, const char *tree);

#endif
