/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a hypervisor at EL2 does about the Statistical Profiling Extension, for each kind of host:
 * the plans, as text. A backend executes them instead. Linked with libhvcore-units.a alone.
 */
#include <inttypes.h>
#include <stdio.h>

#include <hvcore/fixup/spe.h>

static const char *const hosts[] = {"nVHE", "VHE", "hVHE", "bare", "bare, E2H"};
static const char *const directions[] = {"probe", "init", "park", "unpark"};

static const struct {
    uint32_t reg;
    const char *name;
} regs[] = {
    {HVCORE_SPE_ID_AA64DFR0_EL1, "ID_AA64DFR0_EL1"},
    {HVCORE_SPE_PMBIDR_EL1, "PMBIDR_EL1"},
    {HVCORE_SPE_PMBLIMITR_EL1, "PMBLIMITR_EL1"},
    {HVCORE_SPE_PMBSR_EL1, "PMBSR_EL1"},
    {HVCORE_SPE_PMSCR_EL1, "PMSCR_EL1"},
    {HVCORE_SPE_PMSCR_EL2, "PMSCR_EL2"},
    {HVCORE_SPE_PMSCR_EL12, "PMSCR_EL12"},
};

static const char *name_of(uint32_t reg)
{
    for (size_t i = 0; i < sizeof regs / sizeof *regs; i++) {
        if (regs[i].reg == reg) {
            return regs[i].name;
        }
    }
    return "?";
}

static void print(const hvcore_spe_op *op)
{
    const char *name = name_of(op->reg);

    switch (op->kind) {
    case HVCORE_SPE_READ:
        printf(" saved[%d] = %s;", op->slot, name);
        break;
    case HVCORE_SPE_WRITE_ZERO:
    case HVCORE_SPE_WRITE_VALUE:
        printf(" %s = %#" PRIx64 ";", name, op->value);
        break;
    case HVCORE_SPE_WRITE_SAVED:
        printf(" %s = saved[%d];", name, op->slot);
        break;
    case HVCORE_SPE_STOP_IF_CLEAR:
        printf(" stop unless saved[%d] & %#" PRIx64 ";", op->slot, op->value);
        break;
    default:
        printf(" %s;", op->kind == HVCORE_SPE_ISB       ? "ISB"
                       : op->kind == HVCORE_SPE_DSB_NSH ? "DSB NSH"
                                                        : "PSB CSYNC");
    }
}

int main(void)
{
    hvcore_spe_config config = {.unit = HVCORE_SPE_UNIT_SPE};
    hvcore_spe_plan plan;

    /* What the PE says of itself, read by the plan `probe`: v1.2, and not another state's. */
    config.caps = hvcore_spe_caps(config.unit, UINT64_C(3) << 32, 0x26);
    for (config.host = 0; config.host < HVCORE_SPE_HOSTS; config.host++) {
        printf("%s\n", hosts[config.host]);
        for (uint32_t direction = 0; direction < HVCORE_SPE_DIRECTIONS; direction++) {
            if (hvcore_spe_plan_make(&config, direction, &plan) != 0) {
                return 1;
            }
            printf("  %-6s", directions[direction]);
            for (uint32_t i = 0; i < plan.count; i++) {
                print(&plan.ops[i]);
            }
            printf("%s\n", plan.count ? "" : " -");
        }
    }
    return 0;
}
