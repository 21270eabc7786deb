/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies as text: nothing but a policy or a named error comes out, and a policy compiles.
 * sources: lib/policy/*.c lib/arch/*.c lib/core/error.c lib/host/format.c lib/host/posix.c
 * libraries: json-c
 */
#include "lib/policy/policy.h"

#include "tests/fuzz/fuzz.h"

static void check_error(const hvcore_error *err, int rc)
{
    EXPECT(err->code == rc && rc < 0);
    EXPECT(memchr(err->message, 0, sizeof(err->message)) && err->message[0]);
}

static void compile(hvcore_policy *policy, const hvc_policy_facts *facts)
{
    hvcore_error err = HVCORE_ERROR_INIT;
    hvc_policy_table table;
    hvcore_report *report = NULL;
    int rc = hvc_policy_compile(policy, facts, &table, &report, &err);
    if (rc) {
        check_error(&err, rc);
    } else {
        EXPECT((table.hedeleg & ~facts->delegatable) == 0 &&
               (table.hedeleg & facts->intercept) == 0);
    }
    hvcore_report_item item = HVCORE_REPORT_ITEM_INIT;
    for (uint32_t i = 0; report && hvcore_report_item_get(report, i, &item) == 0; i++) {
        EXPECT(i < 128 && item.why[0]);
    }
    hvcore_report_free(report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hvcore_error err = HVCORE_ERROR_INIT;
    hvcore_policy *policy = (hvcore_policy *)&err;
    int rc = hvcore_policy_from_json((const char *)data, size, &policy, &err);
    if (rc) {
        check_error(&err, rc);
        EXPECT(!policy);
        return 0;
    }
    hvc_policy_facts none = {.arch = HVCORE_ARCH_RISCV64};
    hvc_policy_facts all = {.arch = HVCORE_ARCH_RISCV64,
                            .firmware_honours = 1,
                            .delegatable = UINT64_MAX,
                            .intercept = 8,
                            .emulators = UINT64_MAX,
                            .double_trap = 1};
    hvc_policy_facts odd = {.arch = HVCORE_ARCH_RISCV64,
                            .delegatable = UINT64_MAX,
                            .debug_breakpoints = 1,
                            .fwft_misaligned = 1,
                            .fixed = {[2] = HVCORE_DO_DELEGATE, [5] = HVCORE_DO_EXIT, [63] = 9}};
    compile(policy, &none);
    compile(policy, &all);
    compile(policy, &odd);
    hvcore_policy_unref(policy);
    return 0;
}
