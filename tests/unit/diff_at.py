#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The C walker against the Python model of AT (at_model.py) on random plausible states.

    diff_at.py DRIVER [--count N] [--seed N] [--jobs N]

A state is a choice of features and of what the architecture leaves open, an AT, registers that mostly
make sense, and tables built along the way of the address through both stages, each step of which may
be spoilt. Compared are PAR_EL1 under its mask, exceptions, what was written, the fault's kind, level,
stage and IPA, rights, and the descriptors that were read.
"""
import random
import sys
from dataclasses import fields, replace

import diff

M = diff.model("at_model")
G = diff.model("at_gen")

BATCH = 200
FAULTS = {"addrsz": 1, "trans": 2, "af": 3, "perm": 4, "ext": 5}
NAMES = ["none", "address size", "translation", "access flag", "permission", "external"]

# Positions in at_features[] of at_world.h, and in enum hvcore_arm64_choice.
FEATURES = [("tgran4", 1), ("tgran16", 1), ("tgran64", 1), ("s2_tgran4", 1), ("s2_tgran16", 1),
            ("s2_tgran64", 1), ("lpa2_4", 1), ("lpa2_16", 1), ("s2_lpa2_4", 1), ("s2_lpa2_16", 1),
            ("lva", 1), ("ttst", 1), ("hafdbs", 1), ("hafdbs", 2), ("hpds", 1), ("e0pd", 1), ("pan", 2),
            ("pan", 3), ("fwb", 1), ("xnx", 9), ("nv1", 1), ("tcr2", 1), ("s1pie", 1), ("s1poe", 1),
            ("s2pie", 1), ("aie", 1), ("mte2", 1), ("xs", 1), ("ats1a", 1)]
CHOICES = [lambda i: i.reserved_tg == "large", lambda i: not i.txsz_oob_faults,
           lambda i: i.contig_misprogram_faults, lambda i: i.block_nt_faults,
           lambda i: not i.s1_effective_sh, lambda i: not i.at_updates_af,
           lambda i: i.af_before_perm_fault, lambda i: i.par_ns, lambda i: i.start_level_faults,
           lambda i: i.pie_pan_ignores_noaccess]

M64 = M.M64
AF, DBM, CONT, NT = 1 << 10, 1 << 51, 1 << 52, 1 << 16


# ---- states -------------------------------------------------------------------------------------


class State:
    """One random state. `self.mem` maps addresses to words."""

    def __init__(self, rng):
        self.rng, self.mem, self.next = rng, {}, 0x48000000
        self.feat, self.impl = self.features(), self.choices()
        self.op = rng.choice(list(M.OPS))
        self.pan, self.el = rng.randrange(2), 2
        if M.OPS[self.op][0] == 1 and M.OPS[self.op][1] != 2:
            self.el = rng.choice((2, 2, 1))
        self.spoil = rng.choice((0, 0, 0.02, 0.04, 0.1))
        self.registers()
        self.address()
        try:
            self.tables()
        except (M.Fault, KeyError, StopIteration):
            pass  # the registers lead nowhere: that is a state too

    def chance(self, p):
        return self.rng.random() < p

    def features(self):
        rng = self.rng
        feat = rng.choice([f for f, _ in G.PROFILES.values()] + [G.POE] * 3)
        changes = {}
        for f in fields(M.Feat):
            if not self.chance(0.08):
                continue
            if f.name == "pa_bits":
                changes[f.name] = rng.choice((32, 36, 40, 42, 44, 48, 52))
            elif f.name in ("hafdbs", "pan"):
                changes[f.name] = rng.randrange(4 if f.name == "pan" else 3)
            else:
                changes[f.name] = self.chance(0.5)
        feat = replace(feat, **changes)
        if not (feat.tgran4 or feat.tgran16 or feat.tgran64):
            feat = replace(feat, tgran4=True)
        if not (feat.s2_tgran4 or feat.s2_tgran16 or feat.s2_tgran64):
            feat = replace(feat, s2_tgran16=True)
        return feat

    def choices(self):
        if self.chance(0.4):
            return M.ARM
        return M.Impl(**{f.name: self.chance(0.5) for f in fields(M.Impl)
                         if not f.name.startswith("q_") and f.name not in ("reserved_tg", "reserved_sh")},
                      reserved_tg=self.rng.choice(("small", "large")), reserved_sh=self.rng.randrange(4))

    def flags(self, **probabilities):
        """Bits by name b<number> and probability."""
        return sum(1 << int(n[1:]) for n, p in probabilities.items() if self.chance(p))

    def txsz(self, lo=16):
        rng = self.rng
        if self.chance(0.05):
            return rng.randrange(64)
        return rng.choice((lo, 16, 16, 25, 28, 34, 39, rng.randrange(lo, 40), rng.randrange(lo, 49)))

    def registers(self):
        rng = self.rng
        big = self.feat.pa_bits >= 52
        ps = rng.choice((5, 5, 6 if big else 5, rng.randrange(8)))
        r = self.regs = {}
        r["HCR_EL2"] = 1 << 31 | self.flags(b0=0.5, b2=0.15, b12=0.06, b27=0.2, b32=0.08, b34=0.4, b42=0.1,
                                            b46=0.3, b57=0.3)
        if r["HCR_EL2"] >> 42 & 1 or self.chance(0.05):
            r["HCR_EL2"] |= self.flags(b43=0.7)
        for el in (1, 2):
            r[f"SCTLR_EL{el}"] = self.flags(b0=0.93, b2=0.85, b19=0.3, b25=0.15, b57=0.4)
            r[f"MAIR_EL{el}"], r[f"MAIR2_EL{el}"] = self.mair(), self.mair()
            r[f"TCR2_EL{el}"] = self.flags(b1=0.5, b2=0.4, b3=0.4, b4=0.5)
            r[f"PIR_EL{el}"], r[f"PIRE0_EL{el}"] = self.codes(), self.codes()
            r[f"POR_EL{el}"] = rng.getrandbits(64) | rng.getrandbits(64)
        r["POR_EL0"] = rng.getrandbits(64) | rng.getrandbits(64)
        r["HCRX_EL2"] = self.flags(b14=0.8)
        r["S2PIR_EL2"] = self.codes((12, 13, 14, 15, 8, 6, 7, 2))
        ds = self.flags(b59=0.35)
        lo = 12 if ds or self.feat.lva else 16
        r["TCR_EL1"] = r["TCR_EL2"] = (
            self.txsz(lo) | self.txsz(lo) << 16 | rng.randrange(4) << 14 | rng.randrange(4) << 30 |
            rng.randrange(4) << 12 | rng.randrange(4) << 28 | ps << 32 | ds |
            self.flags(b7=0.03, b23=0.03, b37=0.3, b38=0.3, b39=0.4, b40=0.4, b41=0.2, b42=0.2, b55=0.1,
                       b56=0.1))
        if not r["HCR_EL2"] >> 34 & 1:
            r["TCR_EL2"] = (self.txsz(lo) | rng.randrange(4) << 14 | rng.randrange(4) << 12 | ps << 16 |
                            self.flags(b20=0.3, b21=0.4, b22=0.4, b24=0.2, b32=0.35, b63=0.1))
        r["VTCR_EL2"] = self.vtcr()
        if self.chance(0.25):  # what guests mostly are: the walker's short way
            r["HCR_EL2"] = 1 << 31
            r["SCTLR_EL1"] = r["SCTLR_EL1"] & ~(1 << 25) | 1 << 2
            r["TCR_EL1"] &= ~(1 << 40 | 1 << 59 | 3 << 41)
            if self.chance(0.7):  # 4 KiB
                r["TCR_EL1"] = r["TCR_EL1"] & ~(3 << 14 | 3 << 30) | 2 << 30
            r["MAIR_EL1"] |= 0xffff
            self.op = rng.choice(("S1E1R", "S1E1W", "S1E0R", "S1E0W"))

    def vtcr(self):
        rng = self.rng
        big = self.feat.pa_bits >= 52
        v = (rng.randrange(4) << 14 | rng.randrange(4) << 12 | 1 << 31 |
             rng.choice((5, 6 if big else 5, rng.randrange(8))) << 16 |
             self.flags(b21=0.4, b22=0.4, b32=0.35, b36=0.3))
        if self.chance(0.1):
            return v | rng.randrange(64) | rng.randrange(4) << 6 | self.flags(b33=0.2)
        for _ in range(60):  # a start level that fits
            w = v | rng.randrange(12, 49) | rng.randrange(4) << 6 | self.flags(b33=0.2)
            self.regs["VTCR_EL2"] = w
            m = M.Model(self.feat, self.regs, None)
            p = m.s2_params()
            if not m.s2_bad_start(p) and p.txsz >= 64 - self.feat.pa_bits:
                return w
        return w

    def mair(self):
        known = (0xff, 0x44, 0xbb, 0x00, 0x04, 0x08, 0x0c, 0x4f, 0xf4, 0x77, 0x33, 0xf0, 0x40, 0xa0, 0x01,
                 0x0d, 0xee, 0xaa, 0xcf, 0x9b)
        pick = [self.rng.choice(known) if self.chance(0.95) else self.rng.randrange(256) for _ in range(8)]
        return sum(b << 8 * i for i, b in enumerate(pick))

    def codes(self, good=(5, 6, 7, 3, 1, 12, 14, 10)):
        pick = [self.rng.choice(good) if self.chance(0.7) else self.rng.randrange(16) for _ in range(16)]
        return sum(c << 4 * i for i, c in enumerate(pick))

    def regime(self):
        h = self.regs["HCR_EL2"]
        e2h, host = h >> 34 & 1, h >> 34 & h >> 27 & 1
        if M.OPS[self.op][1] == 2:
            return "EL20" if e2h else "EL2"
        return "EL20" if host else "EL10"

    def address(self):
        rng, regime = self.rng, self.regime()
        upper = rng.randrange(2) if regime != "EL2" else self.chance(0.03)
        tcr = self.regs["TCR_EL1" if regime == "EL10" else "TCR_EL2"]
        ia = 64 - (tcr >> (16 if upper and regime != "EL2" else 0) & 63)
        if self.chance(0.03):
            ia = 64
        va = rng.getrandbits(min(ia, 56))
        if self.chance(0.3):
            va &= ~(rng.getrandbits(64) | rng.getrandbits(64))
        if upper:
            va = (va | M64 << min(ia, 55)) & M64
        if self.chance(0.15):
            va = (va & M.mask(55, 0)) | rng.getrandbits(8) << 56
        if self.chance(0.05):  # near the stage 1 off case
            va = rng.getrandbits(self.feat.pa_bits + rng.randrange(2))
        self.va = va

    # ---- tables ----

    def fresh(self, bits, limit):
        """Room for a table of 2^bits bytes, below 2^limit."""
        rng = self.rng
        if limit > 40 and self.chance(0.3):
            return rng.getrandbits(limit) >> bits << bits
        self.next = (self.next + (1 << bits) - 1 >> bits << bits) + (1 << bits)
        return self.next

    def put(self, pa, desc, ee):
        if self.chance(self.spoil):
            desc ^= 1 << self.rng.randrange(64)
        if self.chance(self.spoil / 4):
            desc = self.rng.choice((0, self.rng.getrandbits(64), desc & ~3, desc & ~2))
        if self.chance(self.spoil / 8):
            return  # whatever is there: zero, or no memory
        self.mem[pa] = M.bswap64(desc) if ee else desc

    def field(self, a, w, lsb):
        """An address in the form that descriptors of the stage have."""
        d = a & M.mask(47, lsb)
        if self.feat.lpa and w.gran == 64:
            return d | (a >> 48 & 15) << 12
        if w.ds:
            return d | (a >> 48 & 3) << 48 | (a >> 50 & 3) << 8
        return d

    def root(self, w, start, limit):
        """A TTBR for the first table."""
        size = w.ia - w.level_lsb(start) + 3
        a = self.fresh(max(size, 6), limit)
        if (self.feat.lpa and w.gran == 64 and w.ps == 6) or w.ds:
            t = a & M.mask(47, 6) | (a >> 48 & 15) << 2
        else:
            t = a & M.mask(47, 1)
        if self.chance(0.2):
            t |= self.rng.getrandbits(16) << 48 | self.rng.randrange(2)
        if self.chance(self.spoil):
            t ^= 1 << self.rng.randrange(64)
        return t

    def levels(self, w, start, ttbr, addr, place):
        """Tables for `addr` down to a leaf; place(address) is where an entry lies. Gives the output."""
        feat, rng = self.feat, self.rng
        w.ttbr = ttbr
        base, level, msb = M.base_address(w, start, feat, self.impl), start, w.ia - 1
        limit = M.oa_size(w, feat)
        while True:
            lsb = w.level_lsb(level)
            at = place(base | M.bits(addr, msb, lsb) << 3)
            if at is None:
                return None
            old = self.mem.get(at)
            if old is not None:
                old = M.bswap64(old) if w.ee else old
                if M.descriptor_kind(old, w, level, feat) != "table":
                    if M.descriptor_kind(old, w, level, feat) == "leaf":
                        return M.stage_oa(addr, old, w, level, feat, self.impl)
                    return None
                base = M.table_address(old, w, feat, self.impl)
            elif level == 3 or (M.block_allowed(w, level, feat) and self.chance(0.3)):
                d = self.leaf(w, level, limit)
                self.put(at, d, w.ee)
                return M.stage_oa(addr, d, w, level, feat, self.impl)
            else:
                base = self.fresh(w.shift, limit)
                if limit < 52 and self.chance(0.01):
                    base |= 1 << limit
                attrs = rng.getrandbits(4) << 59 if self.chance(0.2) else 0
                ignored = rng.getrandbits(3) << 52 if self.chance(0.2) else 0
                self.put(at, self.field(base, w, w.shift) | attrs | ignored | 3, w.ee)
            level += 1
            msb = w.level_lsb(level) + w.stride - 1

    def leaf(self, w, level, limit):
        rng, lsb = self.rng, w.level_lsb(level)
        a = rng.getrandbits(limit + (1 if self.chance(0.06) else 0)) >> lsb << lsb
        if limit > lsb and self.chance(0.5):
            a = rng.getrandbits(min(limit, max(lsb + 1, 36))) >> lsb << lsb
        d = self.field(a, w, lsb) | (3 if level == 3 else 1)
        d |= rng.getrandbits(9) << 55 | rng.getrandbits(2) << 53
        d |= AF if self.chance(0.5 if w.ha else 0.96) else 0
        d |= DBM if self.chance(0.3) else 0
        d |= NT if level < 3 and self.chance(0.1) else 0
        d |= CONT if self.chance(0.1) else 0
        if not w.ds:
            d |= rng.getrandbits(2) << 8
        if w.regime == "S2":
            d |= rng.choice((15, 15, 5, 7, 6, 10, 11, rng.randrange(16))) << 2
            d |= rng.choice((3, 3, 3, 1, 2, 0)) << 6 | rng.getrandbits(1) << 11
            if w.pie:
                d = d & ~(1 << 7) | (self.chance(0.8) << 7)
        else:
            d |= rng.getrandbits(3) << 2 | rng.getrandbits(2) << 6 | rng.getrandbits(1) << 11
        return d

    def tables(self):
        m, regime = M.Model(self.feat, self.regs, None, self.impl), self.regime()
        two = regime == "EL10" and (m.hcr_bit(M.HCR_VM) or m.hcr_bit(M.HCR_DC))
        place = self.stage_2(m) if two else (lambda a: a)
        ipa = self.va & M.mask(55, 0)
        if m.s1_enabled(regime):
            ipa = None
            w = m.s1_params(regime, self.va)
            el = 1 if regime == "EL10" else 2
            if 12 <= w.txsz and w.ia > w.shift:
                start = max(3 - (w.ia - 1 - w.shift) // w.stride, -1)
                ttbr = self.root(w, start, 32 if two else min(M.oa_size(w, self.feat), 48))
                upper = int(w.regime != "EL2" and M.bit(self.va, 55))
                self.regs[f"TTBR{upper}_EL{el}"] = ttbr
                ipa = self.levels(w, start, ttbr, self.va, place)
        if two and ipa is not None and M.OPS[self.op][0] == 12:
            place(ipa)

    def stage_2(self, m):
        """Stage 2 tables made as they are needed: a function from IPA to PA."""
        w = m.s2_params()
        if m.s2_bad_start(w):
            return lambda a: None
        start = m.s2_start_level(w)
        self.regs["VTTBR_EL2"] = ttbr = self.root(w, start, min(M.oa_size(w, self.feat), 48))

        def place(ipa):
            if ipa >> w.ia:
                return None
            return self.levels(w, start, ttbr, ipa, lambda a: a)
        return place

    # ---- what the driver is told ----

    def line(self):
        feat, words = 0, []
        for i, (name, least) in enumerate(FEATURES):
            feat |= (int(getattr(self.feat, name)) >= least) << i
        choices = sum(bool(c(self.impl)) << i for i, c in enumerate(CHOICES))
        words += [f"op={self.op}", f"va={self.va:x}", f"pan={self.pan}", f"el={self.el}",
                  f"features={feat:x}", f"pa={self.feat.pa_bits:x}", f"sh={self.impl.reserved_sh}",
                  f"choices={choices:x}"]
        words += [f"{k}={v & M64:x}" for k, v in self.regs.items()]
        words += [f"@{a:x}={d:x}" for a, d in self.mem.items()]
        return " ".join(words)

    def expected(self):
        mem = M.DictMem(self.mem)
        model = M.Model(self.feat, self.regs, mem, self.impl)
        return model.at(self.op, self.va, self.pan, self.el), model


# ---- comparison -----------------------------------------------------------------------------------


def early(fault):
    """Translation faults before the first fetch may have a level that does not exist."""
    if fault.kind == "trans" and not -1 <= fault.level <= 3:
        fault.level = -1 if fault.level < -1 else 3
        return True
    return False


def same_attr(state, got, want, single):
    """Reserved bytes of MAIR are reported as they stand; the model reports what it takes them for."""
    if got == want:
        return True
    a = M.s1_decode_attrs(got, 0, state.feat, state.impl)
    return single and M.encode_attr(a, state.feat, state.impl) == want


def differences(state, got):
    r, model = state.expected()
    if r.exception and r.exception["kind"] == "undefined":
        if got.get("esr") != "2000000":
            yield "not UNDEFINED"
        return
    if r.fault and early(r.fault) and not r.exception:
        r.par = model.par_fail(r.fault)
    yield from differ_end(state, r, got)
    f = r.fault
    want = (FAULTS[f.kind], f.level, 2 if f.s2 else 1, int(f.s1ptw)) if f else (0, r.level or 0, 0, 0)
    have = tuple(int(got[k]) for k in ("fault", "level", "stage", "s1ptw"))
    if want != have:
        yield f"fault, level, stage, s1ptw {have}, not {want}"
    if f and f.s2 and f.ipa != int(got["ipa"], 16):
        yield f"IPA {got['ipa']}, not {f.ipa:x}"
    writes = ",".join(f"{a:x}:{o:x}:{n:x}" for a, o, n in r.writes)
    if writes != got["writes"].rstrip(","):
        yield f"writes {got['writes']}, not {writes}"
    yield from differ_reads(r, got)
    if not f and r.perms and int(got["stage"]) == 0:
        yield from differ_rights(state, r, got)


def differ_end(state, r, got):
    if r.exception:
        e = r.exception
        esr = (0x24 if state.el == 1 and r.fault.s2 else 0x25) << 26 | 1 << 25 | 0x140 | e["s1ptw"] << 7 | e["fsc"]
        hpfar = e["ipa"] >> 12 << 4 if e["ipa"] is not None else 0
        if (got.get("esr"), got.get("far"), got.get("hpfar")) != (f"{esr:x}", f"{state.va:x}", f"{hpfar:x}"):
            yield f"esr {got.get('esr')} hpfar {got.get('hpfar')}, not {esr:x} {hpfar:x}"
        return
    if "par" not in got:
        yield f"no PAR, but {r.par:x}"
        return
    par = int(got["par"], 16)
    if not r.fault and same_attr(state, par >> 56, r.par >> 56, state.op[1] != "1" or not two_stages(state)):
        par = par & M.mask(55, 0) | r.par & ~M.mask(55, 0)
    mask = r.par_mask | (1 << 9 if not r.fault else M.mask(63, 48))
    if (par ^ r.par) & mask:
        yield f"PAR {par:x}, not {r.par:x}"


def two_stages(state):
    return state.op.startswith("S12") and state.regime() == "EL10" and state.regs["HCR_EL2"] & 0x1001


def differ_reads(r, got):
    """The model walks stage 2 once more to write an access flag; the library remembers."""
    have = [int(x.split(":")[0], 16) for x in got["reads"].split(",") if x]
    want = [pa for _, _, pa, _ in r.trace]
    if have != want and not (r.trace and len(have) < len(want) and
                             list(dict.fromkeys(have)) == list(dict.fromkeys(want))):
        yield f"reads {[hex(x) for x in have]}, not {[hex(x) for x in want]}"
    if len(have) > 35:
        yield "too many reads"


def differ_rights(state, r, got):
    k = "u" if M.OPS[state.op][1] == 0 else "p"
    want = 0
    for n, b in (("r", 1), ("w", 2)):
        if r.perms[k + n] and (not r.perms[k + "ov"] or r.perms[k + "o" + n]):
            want |= b
    have = int(got["prot"])
    if two_stages(state) or have == want or have == want & 1:  # dirty state
        return
    yield f"rights {have}, not {want}"


# ---- runs -------------------------------------------------------------------------------------------


def parse(line):
    return dict(word.split("=", 1) for word in line.split())


def kind(got):
    if "esr" in got:
        return "exception, EC 0x%02x" % (int(got["esr"], 16) >> 26)
    if "exit" in got or got["fault"] == "0":
        return "refused" if "exit" in got else "translated"
    return f"fault: {NAMES[int(got['fault'])]}, stage {got['stage']}"


def batch(driver, seed, count):
    rng = random.Random(seed)
    states = [State(rng) for _ in range(count)]
    bad, kinds = [], {}
    for s, a in zip(states, diff.ask(driver, [s.line() for s in states], count)):
        got = parse(a)
        name = kind(got)
        kinds[name] = kinds.get(name, 0) + 1
        why = list(differences(s, got))
        if why:
            bad.append(f"{'; '.join(why)}\n    {s.line()}\n    {s.impl}\n    {a}")
    return bad, kinds


if __name__ == "__main__":
    sys.exit(diff.main("states of at", batch, BATCH, 100000))
