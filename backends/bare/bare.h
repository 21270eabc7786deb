/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of one object set. backends/bare/<arch>*.c is compiled once per (machine, architecture)
 * with -DHVC_MACHINE=soft -DHVC_ARCH=riscv64; HVC_BARE(x) makes a cross-file name that is the set's
 * own, so that several sets live in one program. The set's operations table is HVC_BARE(ops).
 */
#ifndef HVC_BARE_H
#define HVC_BARE_H

#define HVC_BARE__(machine, arch, name) hvc_bare_##machine##_##arch##_##name
#define HVC_BARE_(machine, arch, name) HVC_BARE__(machine, arch, name)
#define HVC_BARE(name) HVC_BARE_(HVC_MACHINE, HVC_ARCH, name)

#endif
