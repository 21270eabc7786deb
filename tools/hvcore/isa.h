/* SPDX-License-Identifier: Apache-2.0 */
/* What the harts of a riscv64 VM are, as its device tree says it. */
#ifndef ISA_H
#define ISA_H

#include <stddef.h>
#include <stdint.h>

enum { ISA_MOST = 1024 }; /* all that there are need 450 */

struct isa {
    char line[ISA_MOST];       /* riscv,isa: rv64imafdc_zicsr... */
    char extensions[ISA_MOST]; /* riscv,isa-extensions: names, each with its NUL */
    size_t extensions_len;
    uint32_t cbom, cboz, cbop; /* bytes of a cache block; 0: no such extension */
    char mmu[16];              /* mmu-type */
    uint32_t timebase;
};

/* Those of the software machine (HVCORE_RISCV64_ISA_DEFAULT). */
void isa_soft(struct isa *isa);

/* Those of a VM on kvm, as its first hart has them in its registers of the classes HVCORE_REG_ISA
 * and HVCORE_REG_CONFIG. `read` is hvcore_reg_get_u64(), or what stands for it. */
typedef int isa_read(void *user, uint32_t reg, uint64_t *value);
void isa_from(struct isa *isa, isa_read *read, void *user);

#endif
