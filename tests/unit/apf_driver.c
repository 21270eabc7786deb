/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations from standard input, one a line, their results to standard output; for diff_apf.py.
 *
 *     new NSLOTS STRIDE MODE
 *     NAME A FLAGS SELECT COMPARE PSTATE FACTS USABLE
 */
#include "tests/unit/apf_world.h"

static apf_world world;

static bool parse(const char *line, apf_op *op)
{
    *op = (apf_op){.usable = 0};
    return sscanf(line,
                  "%23s %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu32
                  " %" SCNu32,
                  op->name, &op->a, &op->flags, &op->select, &op->compare, &op->pstate, &op->facts,
                  &op->usable) >= 1;
}

int main(void)
{
    char line[256];
    uint32_t nslots, stride, mode;
    apf_op op;

    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "new %" SCNu32 " %" SCNu32 " %" SCNu32, &nslots, &stride, &mode) == 3) {
            apf_begin(&world, nslots, stride, mode);
        } else if (parse(line, &op)) {
            puts(apf_do(&world, &op));
        }
    }
    return 0;
}
