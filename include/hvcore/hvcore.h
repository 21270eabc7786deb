/* SPDX-License-Identifier: Apache-2.0 */
/* All of the stable API. The units' own headers stand in fixup/, walk/ and firmware/. */
#ifndef HVCORE_HVCORE_H
#define HVCORE_HVCORE_H

#include <hvcore/types.h>
#include <hvcore/error.h>
#include <hvcore/ctx.h>
#include <hvcore/mem.h>
#include <hvcore/vm.h>
#include <hvcore/irqchip.h>
#include <hvcore/event.h>
#include <hvcore/riscv64.h>
#include <hvcore/vcpu.h>
#include <hvcore/reg.h>
#include <hvcore/debug.h>
#include <hvcore/duty.h>
#include <hvcore/stats.h>
#include <hvcore/policy.h>

#endif
