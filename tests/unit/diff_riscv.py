#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The C walker and hvcore_redirect against the Python model of the H extension (riscv_model.py).

    diff_riscv.py DRIVER [--count N] [--seed N] [--jobs N]

Half of the states are walks: registers that mostly make sense and tables built along the way of the
address through both stages, each entry of which may be spoilt. The others are redirects of random
registers. Compared are addresses, faults with htval and htinst, and what was written.

One deviation from the model: a fetch from a shadow-stack page. The ISA manual (Zicfiss, "shadow stack
memory protection": norm:ssmp_ss_implicit_access_fault) makes it an instruction access fault, 1; the
model says 12, a page fault. Here 1 is demanded, and counted by itself.
"""
import random
import sys

import diff

M = diff.model("riscv_model")

BATCH = 500
ACCESSES = ("fetch", "load", "store", "hlvx")
NAPOT, RSW60 = 1, 2
LEAF = M.PV | M.PR | M.PW | M.PX | M.PA | M.PD
SHADOW_STACK = "cause 1, fetch from a shadow-stack page (the model: 12)"
STATE = ("vsstatus", "vsepc", "vscause", "vstval", "vstvec", "pc", "sstatus", "hstatus")


def hexes(words):
    return " ".join(f"{k}={v:x}" for k, v in words.items())


class Walker(M.Walker):
    """The model's, which remembers a VS-stage leaf that is a shadow-stack page. (In the G-stage R=0, W=1
    never comes so far.)"""

    shadow = None

    def _napot(self, pte, addr, level):
        ppn = super()._napot(pte, addr, level)
        if ppn is not None and pte & (M.PR | M.PW | M.PX) == M.PW:
            self.shadow = pte
        return ppn


class Walk:
    """A random state with tables on the way of its address."""

    def __init__(self, rng):
        self.rng, self.mem, self.next, self.deny = rng, {}, 0x100000, set()
        self.spoil = rng.choice((0, 0, 0.02, 0.05, 0.15))
        self.flags = rng.choice((0, 0, NAPOT, RSW60, 3))
        self.acc, self.mode = rng.choice(ACCESSES), rng.randrange(2)
        status = [0, M.SUM, M.MXR, M.SUM | M.MXR]
        env = [0, M.ENV_ADUE, M.ENV_PBMTE, M.ENV_ADUE | M.ENV_PBMTE]
        self.regs = {"vsstatus": rng.choice(status), "sstatus": rng.choice((0, 0, M.MXR)),
                     "henvcfg": rng.choice(env) | rng.choice((0, 0, M.ENV_SSE)), "menvcfg": rng.choice(env)}
        self.vs, self.g = rng.choice((0, 8, 8, 9, 10)), rng.choice((0, 8, 8, 9, 10))
        self.groot = self.fresh(4)
        self.regs["hgatp"] = self.g << 60 | rng.getrandbits(14) << 44 | self.groot >> 12 if self.g else 0
        self.regs["vsatp"] = 0
        self.va = self.address()
        gpa = self.va
        if self.vs:
            root = self.gpa_of_table()
            self.regs["vsatp"] = self.vs << 60 | rng.getrandbits(16) << 44 | root >> 12
            gpa = self.stage_1(root)
        if gpa is not None:
            self.place(gpa)

    def fresh(self, pages):
        at = self.next = (self.next + pages * 4096 - 1) // (pages * 4096) * (pages * 4096)
        self.next += pages * 4096
        return at

    def chance(self, p):
        return self.rng.random() < p

    def address(self):
        rng = self.rng
        if not self.vs:
            bits = 14 + 9 * M.LEVELS.get(self.g, 4)
            va = rng.getrandbits(bits + self.chance(0.05) * 3)
        else:
            bits = 12 + 9 * M.LEVELS[self.vs]
            va = rng.getrandbits(bits)
            if va >> (bits - 1):
                va |= M.M64 << bits & M.M64
            if self.chance(0.03):
                va ^= 1 << rng.randrange(64)
        return va & ~7

    def gpa_of_table(self):
        bits = 14 + 9 * M.LEVELS[self.g] if self.g else 40
        return self.rng.getrandbits(min(bits, 55)) >> 12 << 12

    def entry(self, at, pte):
        rng = self.rng
        if at in self.mem:
            return
        if self.chance(self.spoil):
            pte ^= 1 << rng.randrange(64)
        if self.chance(self.spoil / 4):
            pte = rng.choice((0, rng.getrandbits(64), pte & ~1))
        if self.chance(self.spoil / 4):
            self.deny.add(at)
        self.mem[at] = pte

    def leaf(self, level, user, pa=None):
        """A leaf of a level; its address by chance unless it is given."""
        rng = self.rng
        ppn = (rng.getrandbits(44) if pa is None else pa >> 12) >> 9 * level << 9 * level
        pte = LEAF | ppn << 10 | rng.getrandbits(2) << 8 | rng.choice((0, M.PG))
        for drop, p in ((M.PR, 0.1), (M.PW, 0.1), (M.PX, 0.1), (M.PA, 0.15), (M.PD, 0.15)):
            pte &= ~drop if self.chance(p) else M.M64
        if self.chance(0.03):
            pte = pte & ~(M.PR | M.PX) | M.PW
        if level == 0 and self.chance(0.1):
            pte = pte & ~(15 << 10) | 8 << 10 | 1 << 63
        if self.chance(0.05):
            pte |= rng.randrange(4) << 61 | self.chance(0.3) << 60
        return pte | (M.PU if user else 0)

    def place(self, gpa):
        """G-stage tables for an address; gives where it lies, or None."""
        if not self.g:
            return gpa
        levels, base = M.LEVELS[self.g], self.groot
        if gpa >> (14 + 9 * levels):
            return None
        for level in range(levels - 1, -1, -1):
            at = base + 8 * (gpa >> (12 + 9 * level) & (0x7ff if level == levels - 1 else 0x1ff))
            last = level == 0 or self.chance(0.15)
            table = self.fresh(1) if not last and at not in self.mem else 0
            self.entry(at, self.leaf(level, not self.chance(0.02), self.fresh(1) if level == 0 else None) if last
                       else table >> 2 | M.PV)
            pte = self.mem[at]
            if not pte & M.PV:
                return None
            if pte & (M.PR | M.PW | M.PX):
                return self.translate(gpa)
            base = (pte >> 10 & (1 << 44) - 1) << 12
        return None

    def translate(self, gpa):
        w = M.Walker(dict(self.mem), 0, self.regs["hgatp"], menvcfg=self.regs["menvcfg"], sstatus=M.MXR,
                     svnapot=self.flags & NAPOT, svrsw=self.flags & RSW60)
        try:
            return w.g(gpa, "r", "load", 0)
        except M.Fault:
            return None

    def stage_1(self, base):
        levels = M.LEVELS[self.vs]
        for level in range(levels - 1, -1, -1):
            at = self.place(base + 8 * (self.va >> (12 + 9 * level) & 0x1ff))
            if at is None:
                return None
            last = level == 0 or self.chance(0.15)
            user = self.mode == 0 if self.chance(0.9) else self.mode != 0
            gpa = self.gpa_of_table() | self.rng.getrandbits(1) << 12
            self.entry(at, self.leaf(level, user, gpa) if last else gpa >> 2 & (1 << 54) - 1024 | M.PV)
            pte = self.mem[at]
            if last or pte & (M.PR | M.PX):
                size = 1 << 12 + 9 * level
                return (pte >> 10 & (1 << 44) - 1) << 12 & ~(size - 1) | self.va & size - 1
            base = (pte >> 10 & (1 << 44) - 1) << 12
        return None

    def line(self):
        words = {"va": self.va, "access": ACCESSES.index(self.acc), "mode": self.mode, "flags": self.flags,
                 **self.regs}
        return " ".join(["walk", hexes(words), *(f"@{a:x}={v:x}" for a, v in self.mem.items()),
                         *(f"!{a:x}=0" for a in self.deny)])

    def differences(self, got):
        w = Walker(dict(self.mem), self.regs["vsatp"], self.regs["hgatp"], self.regs["vsstatus"],
                   self.regs["sstatus"], ("VU", "VS")[self.mode], self.regs["henvcfg"], self.regs["menvcfg"],
                   self.flags & NAPOT, self.flags & RSW60, ok=lambda pa, kind: pa not in self.deny)
        try:
            gpa, pa = w.x(self.va, self.acc)
            want = {"gpa": f"{gpa:x}", "pa": f"{pa:x}"}
        except M.Fault as f:
            want = {"cause": f"{f.cause:x}", "htval": f"{f.htval:x}", "htinst": f"{f.htinst:x}"}
        want["writes"] = "".join(f"{a:x}:{v:x}," for _, a, v in w.log)
        kind = f"cause {int(want['cause'], 16)}" if "cause" in want else "translated"
        if self.fetches_shadow_stack(w):
            kind, want["cause"] = SHADOW_STACK, "1"
        return kind, [f"{k} {got.get(k)}, not {v}" for k, v in want.items() if got.get(k) != v]

    def fetches_shadow_stack(self, walker):
        """Where nothing before the page's type has been a fault."""
        if self.acc != "fetch" or walker.shadow is None:
            return False
        return bool(walker.shadow & M.PU) == (self.mode == 0)


class Redirect:
    """Random registers, near to what a hart can hold."""

    def __init__(self, rng):
        self.state = {k: rng.getrandbits(64) for k in STATE}
        self.state["vstvec"] = self.state["vstvec"] & ~3 | rng.randrange(2)
        if rng.random() < 0.95:
            self.state["hstatus"] |= M.H_SPV
        if rng.random() < 0.5:
            self.state["vsstatus"] &= ~M.SDT
        cause = rng.randrange(64) | (rng.random() < 0.2) << 63
        self.trap = {"cause": cause, "tval": rng.getrandbits(64), "epc": rng.getrandbits(64)}
        self.henvcfg, self.dte = rng.getrandbits(64), rng.randrange(2)

    def line(self):
        # henvcfg as the hart reads it: DTE is zero where menvcfg withholds it
        henvcfg = self.henvcfg & (M.M64 if self.dte else ~M.ENV_DTE)
        return f"redirect {hexes(self.state)} {hexes(self.trap)} henvcfg={henvcfg:x}"

    def differences(self, got):
        st, result = M.redirect(self.state, self.trap, self.henvcfg, self.dte)
        answer = {"delivered": (0, 0, 0), "double-trap": (7, 16, self.trap["cause"]), "bad-origin": (8, 1, 0)}[result]
        want = {k: f"{v & M.M64:x}" for k, v in dict(zip(("kind", "arg", "addr"), answer), **st).items()}
        return "redirect, " + result, [f"{k} {got.get(k)}, not {v}" for k, v in want.items() if got.get(k) != v]


def batch(driver, seed, count):
    rng = random.Random(seed)
    states = [(Walk, Redirect)[n % 2](rng) for n in range(count)]
    bad, kinds = [], {}
    for s, a in zip(states, diff.ask(driver, [s.line() for s in states], count)):
        kind, why = s.differences(dict(w.split("=", 1) for w in a.split()))
        kinds[kind] = kinds.get(kind, 0) + 1
        if why:
            bad.append(f"{'; '.join(why)}\n    {s.line()}\n    {a}")
    return bad, kinds


if __name__ == "__main__":
    sys.exit(diff.main("walks and redirects", batch, BATCH, 200000))
