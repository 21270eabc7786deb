/* SPDX-License-Identifier: Apache-2.0 */
/* Registers by number: one table per architecture says where each lives. */
#include <hvcore/reg.h>

#include "lib/arch/regs.h"
#include "lib/arch/riscv64.h"
#include "lib/core/reg.h"
#include "lib/core/vcpu.h"
#include "lib/host/mem.h"

typedef enum place { IN_X, IN_PC, IN_MODE, IN_SYS, IN_F, IN_FCSR } place;

typedef struct row {
    hvcore_reg reg;
    const char *name;
    uint8_t place; /* enum place */
    uint8_t index; /* x or f register, or position in hvcore_riscv64_sys */
    uint16_t at;   /* IN_SYS: offset */
} row;

#define REG(class, index) ((uint32_t)(class) << 24 | (uint32_t)(index) << 8 | 8)
/* clang-format off */
#define X(n, name) {REG(HVCORE_REG_GPR, n), name, IN_X, n, 0}
/* clang-format on */
/* clang-format off */
#define F(n) {REG(HVCORE_REG_FPR, n), "f" #n, IN_F, n, 0}
/* clang-format on */
#define SYS(name, csr)                                                   \
    {REG(HVCORE_REG_CSR, csr), #name, IN_SYS, HVCORE_RISCV64_SYS_##name, \
     offsetof(hvcore_riscv64_sys, name)},

/* x registers come first: x register n is row n */
/* clang-format off */
static const row riscv64[] = {
    X(0, "zero"), X(1, "ra"),   X(2, "sp"),   X(3, "gp"),   X(4, "tp"),   X(5, "t0"),
    X(6, "t1"),   X(7, "t2"),   X(8, "s0"),   X(9, "s1"),   X(10, "a0"),  X(11, "a1"),
    X(12, "a2"),  X(13, "a3"),  X(14, "a4"),  X(15, "a5"),  X(16, "a6"),  X(17, "a7"),
    X(18, "s2"),  X(19, "s3"),  X(20, "s4"),  X(21, "s5"),  X(22, "s6"),  X(23, "s7"),
    X(24, "s8"),  X(25, "s9"),  X(26, "s10"), X(27, "s11"), X(28, "t3"),  X(29, "t4"),
    X(30, "t5"),  X(31, "t6"),
    {REG(HVCORE_REG_GPR, 32), "pc", IN_PC, 0, 0},
    {REG(HVCORE_REG_MODE, 0), "mode", IN_MODE, 0, 0},
    HVCORE_RISCV64_SYS(SYS)
    {REG(HVCORE_REG_CSR, 3), "fcsr", IN_FCSR, 0, 0},
    F(0),  F(1),  F(2),  F(3),  F(4),  F(5),  F(6),  F(7),  F(8),  F(9),  F(10),
    F(11), F(12), F(13), F(14), F(15), F(16), F(17), F(18), F(19), F(20), F(21),
    F(22), F(23), F(24), F(25), F(26), F(27), F(28), F(29), F(30), F(31),
};
/* clang-format on */
enum { FCSR_BITS = 0xff }; /* frm, fflags (Unpriv. 20.2) */
enum { ROWS = sizeof(riscv64) / sizeof(riscv64[0]) };

/* 0 and *found, or why there is none. */
static int find(hvcore_reg reg, const row **found)
{
    for (uint32_t i = 0; i < ROWS; i++) {
        if ((riscv64[i].reg ^ reg) >> 8 == 0) {
            *found = &riscv64[i];
            return riscv64[i].reg == reg ? 0 : -HVCORE_E_TYPE;
        }
    }
    return -HVCORE_E_NOTFOUND;
}

static bool is_fp(const row *r)
{
    return r->place == IN_F || r->place == IN_FCSR;
}

static uint64_t *sys_field(hvcore_vcpu *v, const row *r)
{
    return (uint64_t *)(void *)((char *)v->cpu.sys + r->at);
}

/* hvip is read with what the lines drive now. */
static int get_sys(hvcore_vcpu *v, const row *r, uint64_t *value)
{
    int rc = r->index == HVCORE_RISCV64_SYS_hvip ? hvc_line_serve(v) : 0;
    if (!rc) {
        rc = v->raw->sys_load(v->bk, UINT64_C(1) << r->index);
    }
    *value = rc ? 0 : *sys_field(v, r);
    return rc;
}

static int get(hvcore_vcpu *v, const row *r, uint64_t *value)
{
    const hvcore_riscv64_frame *f = v->cpu.frame;
    if (is_fp(r) && !v->cpu.fp) {
        return -HVCORE_E_UNSUPPORTED;
    }
    switch ((place)r->place) {
    case IN_X:
        *value = f->x[r->index];
        break;
    case IN_PC:
        *value = f->pc;
        break;
    case IN_MODE:
        *value = f->sstatus & HVC_SSTATUS_SPP ? HVCORE_RISCV64_VS : HVCORE_RISCV64_VU;
        break;
    case IN_SYS:
        return get_sys(v, r, value);
    case IN_F:
        *value = v->cpu.fp->f[r->index];
        break;
    case IN_FCSR:
        *value = v->cpu.fp->fcsr;
        break;
    }
    return 0;
}

/* A pc that is set replaces the step that an answered instruction still owes. */
static int set_pc(hvcore_vcpu *v, uint64_t value)
{
    if (value & 1) {
        return -HVCORE_E_RANGE;
    }
    if (v->pending.needs && !v->pending.filled) {
        return -HVCORE_E_STATE;
    }
    v->pending = (hvc_pending){0};
    v->cpu.frame->pc = value;
    return 0;
}

static int set_mode(hvcore_vcpu *v, uint64_t value)
{
    hvcore_riscv64_frame *f = v->cpu.frame;
    if (value > HVCORE_RISCV64_VS) {
        return -HVCORE_E_RANGE;
    }
    f->sstatus = (f->sstatus & ~HVC_SSTATUS_SPP) | (value ? HVC_SSTATUS_SPP : 0);
    return 0;
}

/* Through the backend and back: what is read next is what the hardware kept. */
static int set_sys(hvcore_vcpu *v, const row *r, uint64_t value)
{
    if (r->index == HVCORE_RISCV64_SYS_henvcfg) {
        return -HVCORE_E_UNSUPPORTED;
    }
    if (r->index == HVCORE_RISCV64_SYS_hvip) {
        int lines = hvc_line_set_hvip(v, &value);
        if (lines) {
            return lines;
        }
    }
    *sys_field(v, r) = value;
    v->cpu.sys->dirty |= UINT64_C(1) << r->index;
    int rc = v->raw->sys_store(v->bk);
    if (rc) {
        v->cpu.sys->dirty &= ~(UINT64_C(1) << r->index); /* not later either */
    }
    return rc;
}

static int set(hvcore_vcpu *v, const row *r, uint64_t value)
{
    if (is_fp(r) && !v->cpu.fp) {
        return -HVCORE_E_UNSUPPORTED;
    }
    switch ((place)r->place) {
    case IN_X:
        v->cpu.frame->x[r->index] = r->index ? value : 0;
        return 0;
    case IN_PC:
        return set_pc(v, value);
    case IN_MODE:
        return set_mode(v, value);
    case IN_SYS:
        return set_sys(v, r, value);
    case IN_F:
        v->cpu.fp->f[r->index] = value;
        return 0;
    case IN_FCSR:
        v->cpu.fp->fcsr = value & FCSR_BITS;
        return 0;
    }
    return -HVCORE_E_NOTFOUND;
}

/* ---- above a kernel: it has the registers ---------------------------------------------------- */

enum { WIDTH = 0xff };

static int kernel_get(hvcore_vcpu *v, hvcore_reg reg, void *value)
{
    int rc = hvc_settle(v);
    return rc ? rc : hvc_backend_code(v->kernel->reg_get(v->bk, reg, value));
}

/* A pc that is set replaces what an unfinished instruction would do to it: finish it first. */
static int kernel_set(hvcore_vcpu *v, hvcore_reg reg, const void *value)
{
    if (hvc_reg_is_pc(v->vm->arch, reg)) {
        if (v->pending.needs && !v->pending.filled) {
            return -HVCORE_E_STATE;
        }
        v->pending.filled = v->pending.kind != HVC_PENDING_NONE;
    }
    int rc = hvc_settle(v);
    return rc ? rc : hvc_backend_code(v->kernel->reg_set(v->bk, reg, value));
}

int hvcore_reg_get_bytes(hvcore_vcpu *v, hvcore_reg reg, uint8_t value[16])
{
    uint64_t word = 0;
    int rc = hvc_vcpu_look(v);
    if (rc || !value) {
        return rc ? rc : -HVCORE_E_INVAL;
    }
    if (v->kernel && ((reg & WIDTH) == 0 || (reg & WIDTH) > 16)) {
        return -HVCORE_E_TYPE;
    }
    memset(value, 0, 16);
    if (v->kernel) {
        return kernel_get(v, reg, value);
    }
    rc = hvcore_reg_get_u64(v, reg, &word);
    for (unsigned i = 0; i < 8 && !rc; i++) {
        value[i] = (uint8_t)(word >> 8 * i);
    }
    return rc;
}

int hvcore_reg_set_bytes(hvcore_vcpu *v, hvcore_reg reg, const uint8_t value[16])
{
    uint64_t word = 0;
    int rc = hvc_vcpu_look(v);
    if (rc || !value) {
        return rc ? rc : -HVCORE_E_INVAL;
    }
    if (v->kernel) {
        return (reg & WIDTH) && (reg & WIDTH) <= 16 ? kernel_set(v, reg, value) : -HVCORE_E_TYPE;
    }
    for (unsigned i = 0; i < 8; i++) {
        word |= (uint64_t)value[i] << 8 * i;
    }
    return hvcore_reg_set_u64(v, reg, word);
}

int hvcore_reg_get_u64(hvcore_vcpu *v, hvcore_reg reg, uint64_t *value)
{
    const row *r;
    int rc = hvc_vcpu_look(v);
    if (rc || !value) {
        return rc ? rc : -HVCORE_E_INVAL;
    }
    if (v->kernel) {
        return (reg & WIDTH) == 8 ? kernel_get(v, reg, value) : -HVCORE_E_TYPE;
    }
    rc = find(reg, &r);
    if (rc) {
        return rc;
    }
    rc = hvc_settle(v);
    return rc ? rc : get(v, r, value);
}

int hvcore_reg_set_u64(hvcore_vcpu *v, hvcore_reg reg, uint64_t value)
{
    const row *r;
    int rc = hvc_vcpu_look(v);
    if (!rc && v->kernel) {
        return (reg & WIDTH) == 8 ? kernel_set(v, reg, &value) : -HVCORE_E_TYPE;
    }
    if (!rc) {
        rc = find(reg, &r);
    }
    if (rc) {
        return rc;
    }
    rc = hvc_settle(v);
    return rc ? rc : set(v, r, value);
}

int hvcore_regs_get(hvcore_vcpu *v, const hvcore_reg *regs, uint64_t *values, size_t n,
                    size_t *done)
{
    size_t i = 0;
    int rc = n && (!regs || !values) ? -HVCORE_E_INVAL : 0;
    for (; i < n && !rc; i += !rc) {
        rc = hvcore_reg_get_u64(v, regs[i], &values[i]);
    }
    if (done) {
        *done = i;
    }
    return rc;
}

int hvcore_regs_set(hvcore_vcpu *v, const hvcore_reg *regs, const uint64_t *values, size_t n,
                    size_t *done)
{
    size_t i = 0;
    int rc = n && (!regs || !values) ? -HVCORE_E_INVAL : 0;
    for (; i < n && !rc; i += !rc) {
        rc = hvcore_reg_set_u64(v, regs[i], values[i]);
    }
    if (done) {
        *done = i;
    }
    return rc;
}

/* ---- names ----------------------------------------------------------------------------------- */

/* Those of an architecture whose registers a kernel has; for riscv64 a row says more. */
static const hvc_reg_name *names_of(uint32_t arch, uint32_t *count)
{
    *count = arch == HVCORE_ARCH_X86_64  ? hvc_x86_64_reg_count
             : arch == HVCORE_ARCH_ARM64 ? hvc_arm64_reg_count
                                         : 0;
    return arch == HVCORE_ARCH_X86_64 ? hvc_x86_64_regs : hvc_arm64_regs;
}

const char *hvcore_reg_name(uint32_t arch, hvcore_reg reg)
{
    const row *r;
    uint32_t count;
    const hvc_reg_name *names = names_of(arch, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (names[i].reg == reg) {
            return names[i].name;
        }
    }
    return arch == HVCORE_ARCH_RISCV64 && !find(reg, &r) ? r->name : NULL;
}

hvcore_reg hvcore_reg_at(uint32_t arch, uint32_t index)
{
    uint32_t count;
    const hvc_reg_name *names = names_of(arch, &count);
    if (index < count) {
        return names[index].reg;
    }
    return arch == HVCORE_ARCH_RISCV64 && index < ROWS ? riscv64[index].reg : 0;
}

static bool same(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

/* "x0" to "x31", without leading zeros; -1 otherwise */
static int x_number(const char *name)
{
    int n = 0;
    if (name[0] != 'x' || !name[1] || (name[1] == '0' && name[2])) {
        return -1;
    }
    for (name++; *name; name++) {
        if (*name < '0' || *name > '9' || n > 31) {
            return -1;
        }
        n = n * 10 + (*name - '0');
    }
    return n < 32 ? n : -1;
}

static int parse_riscv64(const char *name, hvcore_reg *reg)
{
    int x = x_number(name);
    for (uint32_t i = 0; i < ROWS; i++) {
        if (x == (int)i || same(name, riscv64[i].name)) {
            *reg = riscv64[i].reg;
            return 0;
        }
    }
    return -HVCORE_E_NOTFOUND;
}

int hvcore_reg_parse(uint32_t arch, const char *name, hvcore_reg *reg)
{
    uint32_t count;
    const hvc_reg_name *names = names_of(arch, &count);
    if (!name || !reg || arch < HVCORE_ARCH_X86_64 || arch > HVCORE_ARCH_RISCV64) {
        return -HVCORE_E_INVAL;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (same(name, names[i].name)) {
            *reg = names[i].reg;
            return 0;
        }
    }
    return arch == HVCORE_ARCH_RISCV64 ? parse_riscv64(name, reg) : -HVCORE_E_NOTFOUND;
}
