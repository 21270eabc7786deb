#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/vectors/nisv_arm64.json: what A64 loads and stores do, as binutils reads them.

    gen_nisv_arm64.py [--random N] [--seed N] [--only-random] [-o FILE]

Two sources of words: a systematic list of instructions, assembled; and random words in and around the
encodings of loads and stores. Both are disassembled (without aliases), and everything that is expected
is derived from that text by the rules below: mnemonic and names of registers. Nothing is known here of
bits, and nothing is taken from the decoder under test.

A vector: w word, t its text, and either `no`, the reason why it is refused (or ANY), or `a`, the address (a
base, what is added to it), and `e`, the access:

    kind[.op] fragments flags status write-back
    fragment: role register:width@offset, and for what is loaded extension and size of the result
"""
import argparse
import itertools
import json
import pathlib
import random
import re
import subprocess
import tempfile

TOOLS = "aarch64-linux-gnu-"
ARCH = "armv8.8-a+memtag+ls64+sve2+sme+profile"
OUT = pathlib.Path(__file__).resolve().parent.parent / "vectors/nisv_arm64.json"

# --- from text to expectation ---------------------------------------------------------------------------

WIDTH = {"w": 4, "x": 8, "b": 1, "h": 2, "s": 4, "d": 8, "q": 16}
SUFFIX = {"b": 1, "h": 2, "sb": 1, "sh": 2, "sw": 4, "": 0}
OPS = {"add": "add", "clr": "clear", "eor": "xor", "set": "or", "smax": "smax", "smin": "smin",
       "umax": "umax", "umin": "umin"}
ORDER = {"": [], "a": ["acquire"], "l": ["release"], "al": ["acquire", "release"]}
REFUSED = [
    (r"(ld|st)[1-4]r?$", "STRUCTURE"),
    (r"(cpyf?|setg?)[pme]", "MOPS"),
    (r"(ldg|stg|st2g|stzg|stz2g|ldgm|stgm|stzgm|stgp)$", "TAGS"),
    (r"ldra[ab]$", "PAC"),
    (r"(ld|st)64b(v0?)?$", "LS64"),
]


class Register:
    """x3, wzr, sp, q31."""

    def __init__(self, name):
        self.name = name
        self.letter = "x" if name == "sp" else name[0]
        self.zero = name in ("wzr", "xzr")
        self.number = 31 if self.zero or name == "sp" else int(name[1:])
        self.vector = self.letter not in "wx"

    def show(self):
        return "zr" if self.zero else ("v" if self.vector else self.letter) + str(self.number)


def result(register):
    return 16 if register.vector else WIDTH[register.letter]


def fragment(role, register, width, number, extend="z"):
    text = f"{role} {register.show()}:{width}@{width * number}"
    return text if role == "store" else f"{text}{extend}{result(register)}"


def number(text):
    return int(text.strip().lstrip("#"), 0)


class Address:
    """[x1, #8]!, [sp], #16, [x1, w2, sxtw #2]: the operand with all that stands behind it."""

    def __init__(self, text):
        m = re.fullmatch(r"\[([^\]]*)\](!?)(?:, (.*))?", text)
        parts = [p.strip() for p in m[1].split(",")]
        self.base, self.delta, self.offset, self.index = parts[0], None, 0, None
        if len(parts) > 1 and parts[1].startswith("#"):
            self.offset = number(parts[1])
        elif len(parts) > 1:
            extend, _, amount = (parts[2] if len(parts) > 2 else "lsl #0").partition(" ")
            self.index = (parts[1], extend, number(amount) if amount else 0)
        if m[2]:
            self.delta = self.offset
        if m[3]:
            self.delta = number(m[3])

    def show(self):
        if self.index:
            return "%s %s %s %d" % (self.base, *self.index)
        return f"{self.base} {self.offset:+d}"

    def updates(self, *registers):
        """Is the base one of these, and written as they are?"""
        return self.delta is not None and self.base in ["x" + r.show()[1:] for r in registers
                                                        if not r.vector and not r.zero]


def vector(address, kind, fragments, flags=(), status=None):
    words = [kind, *fragments, *sorted(flags)]
    if status:
        words.append("status " + status.show())
    if address.delta is not None:
        words.append(f"{address.base}{address.delta:+d}")
    return {"a": address.show(), "e": " ".join(words)}


def refused(why):
    return {"no": why}


def single(load, suffix, flags, operands):
    register, address = Register(operands[0]), Address(operands[1])
    width = SUFFIX[suffix] or WIDTH[register.letter]
    role, extend = "load" if load else "store", "s" if "s" in suffix else "z"
    if address.updates(register):
        return refused("UNPREDICTABLE")
    return vector(address, role, [fragment(role, register, width, 0, extend)], flags)


def pair(load, suffix, flags, operands):
    registers, address = [Register(o) for o in operands[:2]], Address(operands[2])
    width = SUFFIX[suffix] or WIDTH[registers[0].letter]
    role, extend = "load" if load else "store", "s" if suffix else "z"
    if (load and operands[0] == operands[1]) or address.updates(*registers):
        return refused("UNPREDICTABLE")
    fragments = [fragment(role, r, width, i, extend) for i, r in enumerate(registers)]
    return vector(address, role, fragments, flags)


def exclusive(load, suffix, flags, operands):
    status = None if load else Register(operands.pop(0))
    registers, address = [Register(o) for o in operands[:-1]], Address(operands[-1])
    width = SUFFIX[suffix] or WIDTH[registers[0].letter]
    role = "load" if load else "store"
    same_base = status and not status.zero and status.name[1:] == address.base[1:]
    if same_base or (load and len(set(operands)) != len(operands)) or (
            status and status.number in [r.number for r in registers]):
        return refused("UNPREDICTABLE")
    fragments = [fragment(role, r, width, i) for i, r in enumerate(registers)]
    return vector(address, role + "-exclusive", fragments, flags, status)


def atomic(op, suffix, flags, operands):
    operand, target = Register(operands[0]), Register(operands[1])
    width = SUFFIX[suffix] or WIDTH[target.letter]
    flags = [f for f in flags if not (f == "acquire" and target.zero)]
    return vector(Address(operands[2]), "atomic." + op,
                  [fragment("load", target, width, 0), fragment("store", operand, width, 0)], flags)


def compare(suffix, flags, operands):
    registers = [Register(o) for o in operands[:-1]]
    half = len(registers) // 2
    width = SUFFIX[suffix] or WIDTH[registers[0].letter]
    fragments = [fragment("compare" if i < half else "store", r, width, i % half)
                 for i, r in enumerate(registers)]
    return vector(Address(operands[-1]), "atomic.cas", fragments, flags)


NOTHING = {"a": "", "e": "nothing"}

RULES = [
    (r"(ld|st)(t?)u?r(b|h|sb|sh|sw)?$", lambda m, o: single(
        m[1] == "ld", m[3] or "", ["unprivileged"] if m[2] else [], o)),
    (r"(?:ldapu?r|ldl?ar)(b|h|sb|sh|sw)?$", lambda m, o: single(True, m[1] or "", ["acquire"], o)),
    (r"stll?u?r(b|h)?$", lambda m, o: single(False, m[1] or "", ["release"], o)),
    (r"(ld|st)(n?)p(sw)?$", lambda m, o: pair(
        m[1] == "ld", m[3] or "", ["non-temporal"] if m[2] else [], o)),
    (r"(ld|st)(a|l)?x[rp](b|h)?$", lambda m, o: exclusive(
        m[1] == "ld", m[3] or "", ORDER[m[2] or ""], o)),
    (r"ld(add|clr|eor|set|smax|smin|umax|umin)(a|al|l)?(b|h)?$", lambda m, o: atomic(
        OPS[m[1]], m[3] or "", ORDER[m[2] or ""], o)),
    (r"swp(a|al|l)?(b|h)?$", lambda m, o: atomic("swap", m[2] or "", ORDER[m[1] or ""], o)),
    (r"casp?(a|al|l)?(b|h)?$", lambda m, o: compare(m[2] or "", ORDER[m[1] or ""], o)),
    (r"r?prfu?m$", lambda m, o: NOTHING),
]


def split_operands(text):
    """At commas, but the address keeps all of its own."""
    head, bracket, tail = text.partition("[")
    operands = [o.strip() for o in head.split(",") if o.strip()]
    return operands + ([bracket + tail] if bracket else [])


def system_instruction(operands):
    """SYS #op1, Cn, Cm, #op2, Xt."""
    where = tuple(operands[:4])
    if where[1] != "C7" or where[2] in ("C8", "C9"):
        return refused("NOT_MEMORY")
    if where == ("#3", "C7", "C4", "#1"):
        return {"a": (operands[4] if len(operands) > 4 else "xzr") + " zva", "e": "zero"}
    return refused("TAGS" if where[:3] == ("#3", "C7", "C4") else "CACHE")


def is_literal(mnemonic, operands):
    return mnemonic in ("ldr", "ldrsw") and "[" not in operands[-1]


def in_load_store_space(word):
    return word >> 27 & 1 == 1 and word >> 25 & 1 == 0


def unknown(word):
    """What binutils does not know is refused; among structures, copies and tags it may be called by the
    name of its neighbours. Of LDAR and LDLAR it wants fields to be ones that should be, and are not tested
    by a PE."""
    if not in_load_store_space(word) or word >> 21 & 0x1ff == 0x46:
        return None
    return refused("ANY" if word >> 24 & 0x3f in (0x0c, 0x0d, 0x19, 0x1d) else "UNALLOCATED")


def expectation(word, text):
    """None: no opinion."""
    mnemonic, _, rest = text.partition(" ")
    operands = split_operands(rest)
    if mnemonic in (".inst", "udf"):
        return unknown(word)
    if mnemonic == "sys":
        return system_instruction(operands)
    for pattern, why in REFUSED:
        if re.match(pattern, mnemonic) and in_load_store_space(word):
            return refused(why)
    if not in_load_store_space(word):
        return refused("SVE") if is_scalable(text) else refused("NOT_MEMORY")
    if is_literal(mnemonic, operands):
        return refused("LITERAL")
    for pattern, rule in RULES:
        m = re.match(pattern, mnemonic)
        if m:
            return rule(m, operands)
    raise SystemExit(f"no rule for {word:08x} {text}")


def is_scalable(text):
    """By its registers, or it counts elements."""
    counts = r"(add|rd)s?[vp]l|cnt[bhwdp]|([su]q)?(inc|dec)[bhwdp]|cterm|while"
    return re.search(r"\b(z\d+\b|p\d+\b|za\b|za\d|pn\d)", text) or re.match(counts, text)


# --- words: systematic -----------------------------------------------------------------------------------

BASES = ["x0", "x5", "x29", "sp"]
ORDERS = ["", "a", "l", "al"]


def general(letter, n):
    return letter + ("zr" if n == 31 else str(n))


def rotate(*lists):
    """Each value of each list at least once, in as few tuples as that takes."""
    n = max(map(len, lists))
    return [tuple(values[i % len(values)] for values in lists) for i in range(n)]


def immediates(limits, step):
    low, high = limits
    return sorted({low, -step if low < 0 else 0, 0, step, high})


def singles():
    kinds = [(m + s, r, SUFFIX[s] or WIDTH[r]) for m, s, r in (
        [("str", "b", "w"), ("ldr", "b", "w"), ("ldr", "sb", "x"), ("ldr", "sb", "w"),
         ("str", "h", "w"), ("ldr", "h", "w"), ("ldr", "sh", "x"), ("ldr", "sh", "w"),
         ("str", "", "w"), ("ldr", "", "w"), ("ldr", "sw", "x"), ("str", "", "x"), ("ldr", "", "x")]
        + [(m, "", v) for m in ("ldr", "str") for v in "bhsdq"])]
    for mnemonic, letter, width in kinds:
        numbers = [1, 30, 31, 7] if letter in "wx" else [0, 31, 16, 5]
        yield from one_single(mnemonic, letter, width, numbers)


def one_single(mnemonic, letter, width, numbers):
    def register(n):
        return general(letter, n) if letter in "wx" else letter + str(n)

    for n, base, imm in rotate(numbers, BASES, immediates((0, 4095 * width), width)):
        yield f"{mnemonic} {register(n)}, [{base}, #{imm}]"
    short = immediates((-256, 255), 1)
    unscaled = mnemonic.replace("ldr", "ldur").replace("str", "stur")
    unprivileged = mnemonic.replace("ldr", "ldtr").replace("str", "sttr")
    ordered = mnemonic.replace("ldr", "ldapur").replace("str", "stlur")
    for n, base, imm in rotate(numbers, BASES, short):
        yield f"{unscaled} {register(n)}, [{base}, #{imm}]"
        yield f"{mnemonic} {register(n)}, [{base}], #{imm}"
        yield f"{mnemonic} {register(n)}, [{base}, #{imm}]!"
        if letter in "wx":
            yield f"{unprivileged} {register(n)}, [{base}, #{imm}]"
            yield f"{ordered} {register(n)}, [{base}, #{imm}]"
    shift = width.bit_length() - 1
    for extend, amount in itertools.product(("uxtw", "sxtw", "lsl", "sxtx"), (None, shift)):
        index = ("w" if extend.endswith("w") else "x") + ("zr" if extend == "sxtx" else "12")
        suffix = f"{extend} #{amount}" if amount is not None else extend
        if suffix != "lsl":
            yield f"{mnemonic} {register(numbers[1])}, [x3, {index}, {suffix}]"
    yield f"{mnemonic} {register(numbers[0])}, [sp, x9]"


def pairs():
    for m, r, width in [(m, r, WIDTH[r]) for m in ("ldp", "stp") for r in "wxsdq"] + [
            ("ldpsw", "x", 4), ("ldnp", "w", 4), ("stnp", "x", 8), ("ldnp", "q", 16), ("stnp", "s", 4),
            ("ldnp", "d", 8), ("stnp", "w", 4)]:
        for (n, n2), base, imm in rotate([(1, 2), (30, 31), (31, 3), (9, 8)], BASES,
                                         immediates((-64 * width, 63 * width), width)):
            a, b = (general(r, k) if r in "wx" else r + str(k) for k in (n, n2))
            yield f"{m} {a}, {b}, [{base}, #{imm}]"
            if not m.endswith("np"):
                yield f"{m} {a}, {b}, [{base}], #{imm}"
                yield f"{m} {a}, {b}, [{base}, #{imm}]!"


def exclusives():
    for size, r in (("b", "w"), ("h", "w"), ("", "w"), ("", "x")):
        for n, status, base in rotate([1, 31, 30], [2, 3, 31, 4], BASES):
            t = general(r, n)
            for m in ("ldxr", "ldaxr", "ldar", "ldlar", "stlr", "stllr", "ldapr"):
                yield f"{m}{size} {t}, [{base}]"
            for m in ("stxr", "stlxr"):
                if n != status:
                    yield f"{m}{size} {general('w', status)}, {t}, [{base}]"
    for r in "wx":
        for (n, n2), status, base in rotate([(1, 2), (31, 6), (7, 31), (30, 0)], [4, 8, 12], BASES):
            a, b = general(r, n), general(r, n2)
            for m in ("ldxp", "ldaxp"):
                yield f"{m} {a}, {b}, [{base}]"
            for m in ("stxp", "stlxp"):
                yield f"{m} {general('w', status)}, {a}, {b}, [{base}]"


def atomics():
    names = ["ld" + op for op in OPS] + ["swp", "cas"]
    registers = itertools.cycle(rotate([1, 30, 31], [2, 31, 9, 30], BASES))
    for name, order, (size, r) in itertools.product(
            names, ORDERS, (("b", "w"), ("h", "w"), ("", "w"), ("", "x"))):
        for s, t, base in itertools.islice(registers, 2):
            yield f"{name}{order}{size} {general(r, s)}, {general(r, t)}, [{base}]"
    for order, r in itertools.product(ORDERS, "wx"):
        for s, t, base in rotate([0, 28, 30], [2, 30, 6, 4], BASES):
            regs = ", ".join(general(r, n) for n in (s, s + 1, t, t + 1))
            yield f"casp{order} {regs}, [{base}]"


def unpredictable():
    yield from ["ldp x1, x1, [x2]", "ldp q3, q3, [sp], #16", "ldp x1, x2, [x1], #16",
                "stp w3, w4, [x4, #8]!", "ldr x7, [x7], #8", "str w7, [x7, #-4]!", "ldxp x1, x1, [x2]",
                "stxr w1, w1, [x2]", "stxr w2, w1, [x2]", "stlxp w5, x5, x6, [x7]",
                "stxp w6, x5, x6, [x7]", "stxr wzr, wzr, [x2]", "ldrsb x9, [x9, #3]!"]


def nearly_unpredictable():
    yield from ["str xzr, [sp], #8", "ldr wzr, [sp, #-4]!", "ldp xzr, x1, [sp], #16",
                "stp x1, xzr, [sp, #-16]!", "ldp q1, q2, [x1], #32", "stp s3, s2, [x2, #8]!",
                "ldr q5, [x5], #16", "stp x1, x1, [x2]", "stp q3, q3, [x2, #32]!", "stxr wzr, x1, [sp]",
                "stlxp wzr, x1, x1, [sp]", "ldxr x1, [x1]", "ldxp x1, x2, [x1]", "ldaddal x1, x1, [x1]",
                "casp x2, x3, x2, x3, [x2]", "cas w1, w1, [x1]", "swp x0, x0, [sp]"]


# What no text assembles to: neighbours of LDAPR, LD64B, CAS, LDRAA, literals, pairs.
WORDS = [0xf83fc041, 0xf87fc041, 0xf8ffc041, 0xf8bec041, 0x38ffc041, 0xb83f9041, 0xb83fd041, 0xf8bf9041,
         0xf8ffd041, 0xb8200441, 0x38200c41, 0x78a00441, 0xdc000041, 0xe9400c41, 0xed400c41, 0x68000c41,
         0x68400c41, 0x88a17841, 0x08217842, 0x08207843, 0x08217c42, 0x48207c43, 0x3c200041, 0xbd800041,
         0xb8e00841, 0xb8c00841 | 0x04000000, 0xf8801841, 0xf8800441, 0xf8800c41, 0xd9800041]


def others():
    yield from ["prfm pldl1keep, [x1, #8]", "prfm pstl3strm, [sp, #32760]", "prfum pldl2keep, [x1, #-3]",
                "prfm #31, [x1, x2, lsl #3]", "prfm pldl1keep, [x1, w2, sxtw]", "prfm pldl1keep, .+8",
                "ldr x1, .+16", "ldr w1, .-16", "ldr q2, .+32", "ldrsw x1, .+4", "ldr d1, .+8",
                "ldr s1, .+8", "ldraa x1, [x2]", "ldrab x1, [x2, #8]!", "ldg x1, [x2]",
                "stg x1, [x2]", "st2g x1, [x2], #16", "stzg x1, [x2, #16]!", "stz2g x1, [x2]",
                "stgp x1, x2, [x3]", "ldgm x1, [x2]", "stgm x1, [x2]", "stzgm x1, [x2]",
                "ld64b x2, [x4]", "st64b x2, [x4]", "st64bv x1, x2, [x4]", "st64bv0 x1, x2, [x4]",
                "cpyfp [x0]!, [x1]!, x2!", "cpym [x3]!, [x5]!, x7!", "setetn [x3]!, x7!, x5",
                "setgp [x3]!, x7!, x5", "ld1 {v0.16b}, [x1]", "st4 {v0.4s-v3.4s}, [x1], #64",
                "ld1r {v1.8h}, [sp]", "st1 {v1.b}[3], [x2], x3", "ld3 {v0.d-v2.d}[1], [x4]",
                "ld1b {z0.b}, p0/z, [x1]", "ldr z1, [x2]", "str p3, [x4, #3, mul vl]",
                "st1d {za0h.d[w12, #0]}, p0, [x1]", "ldr za[w12, #0], [x1]",
                "dc zva, x0", "dc zva, x30", "dc zva, xzr", "dc gva, x1", "dc gzva, x2", "dc civac, x1",
                "dc ivac, x1", "dc cvau, x1", "ic ivau, x1", "ic iallu", "at s1e1r, x1", "tlbi vmalle1",
                "nop", "add x0, x1, x2", "b .", "ret", "fadd d0, d1, d2", "mrs x0, midr_el1", "svc #0"]


# --- words: random ---------------------------------------------------------------------------------------

def random_word(rnd):
    """Mostly around the classes of general loads and stores, whose fields are random; the rest plain."""
    word = rnd.getrandbits(32)
    classes = [(0x3b000000, 0x39000000), (0x3b200000, 0x38000000), (0x3b200000, 0x38200000),
               (0x3a000000, 0x28000000), (0x3f000000, 0x08000000), (0x3b000000, 0x18000000),
               (0x3f000000, 0x19000000), (0x3f208000, 0x38208000), (0x3f000000, 0x08000000)]
    kind = rnd.randrange(12)
    if kind < len(classes):
        mask, bits = classes[kind]
        word = word & ~mask | bits
    elif kind == 9:
        word = word & ~0x0a000000 | 0x08000000
    if rnd.randrange(2) and word >> 24 & 0x3f == 0x08:  # should-be-one fields
        word |= rnd.choice([0x7c00, 0x1f7c00, 0x1f0000])
    return word


# --- binutils -----------------------------------------------------------------------------------------------

def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def assemble(texts, folder):
    source, obj, raw = (folder / n for n in ("a.s", "a.o", "a.bin"))
    source.write_text("".join(t + "\n" for t in texts))
    run(TOOLS + "as", "-march=" + ARCH, "-o", obj, source)
    run(TOOLS + "objcopy", "-O", "binary", "-j", ".text", obj, raw)
    data = raw.read_bytes()
    assert len(data) == 4 * len(texts)
    return [int.from_bytes(data[i:i + 4], "little") for i in range(0, len(data), 4)]


def disassemble(words, folder):
    raw = folder / "d.bin"
    raw.write_bytes(b"".join(w.to_bytes(4, "little") for w in words))
    listing = run(TOOLS + "objdump", "-D", "-b", "binary", "-m", "aarch64", "-M", "no-aliases", "-z", raw)
    lines = re.findall(r"^ *[0-9a-f]+:\t([0-9a-f]{8}) \t(.*)$", listing, re.M)
    assert [int(w, 16) for w, _ in lines] == words
    return [re.sub(r"\s+", " ", text.split("//")[0].split(";")[0]).strip() for _, text in lines]


def systematic():
    return list(dict.fromkeys(itertools.chain(
        singles(), pairs(), exclusives(), atomics(), unpredictable(), nearly_unpredictable(), others())))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--random", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only-random", action="store_true")
    parser.add_argument("-o", default=OUT, type=pathlib.Path)
    args = parser.parse_args()
    rnd = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as tmp:
        folder = pathlib.Path(tmp)
        words = [] if args.only_random else assemble(systematic(), folder) + WORDS
        words += [random_word(rnd) for _ in range(args.random)]
        words = list(dict.fromkeys(words))
        rows = [(w, t, expectation(w, t)) for w, t in zip(words, disassemble(words, folder))]
    vectors = [{"w": f"0x{w:08x}", "t": t, **e} for w, t, e in rows if e]
    with open(args.o, "w", encoding="utf-8") as out:
        out.write('{"doc": "written by tests/unit/gen_nisv_arm64.py from binutils\' disassembly",\n')
        out.write(' "vectors": [\n' + ",\n".join(json.dumps(v) for v in vectors) + "\n]}\n")
    print(f"{len(vectors)} vectors, {sum('no' in v for v in vectors)} of them refused")


if __name__ == "__main__":
    main()
