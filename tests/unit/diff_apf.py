#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""lib/fixup/apf*.c beside the reference model (apf_model.py): the same random events, every result
compared.

    diff_apf.py DRIVER [--count N] [--seed N] [--jobs N]

A batch is the life of one object, which begins with its being enabled: faults, pages that arrive,
what the guest acknowledges or scribbles into its area, resets, migrations.
"""
import json
import random
import sys

import diff

M = diff.model("apf_model")

BATCH = 5000
BITS = ("pager_async host_access restartable enabled area_ok fault_in_area dup token_free np_busy "
        "nested nested_optin mmu_on priv send_always inhibit pending_exc host_step ev_registered "
        "ev_enabled ev_masked ev_blocked_by_running irq_masked irq_line_ok").split()
CALLERS = [b for b in BITS if b not in
           ("enabled", "area_ok", "dup", "np_busy", "send_always", "nested_optin", "token_free")]
MODES = {"off": 0, "sdei": 1, "sse": 2, "irq": 3}


def facts(ctx):
    merged = {**M.GATE_DEFAULTS, **ctx}
    return sum(1 << i for i, name in enumerate(BITS) if merged[name])


class Run:
    """One object of the model, and the lines that make the driver do the same."""

    def __init__(self, rnd):
        self.rnd, self.budget = rnd, 1
        self.mode = rnd.choice(["sdei", "sse", "irq"]) if rnd.random() < .95 else "off"
        nslots = rnd.choice([1, 2, 3, 8, 64, 254])
        stride = rnd.choice([64, 128, 2048])
        self.apf = M.Apf(nslots=nslots, stride=stride, mode=self.mode,
                             vm_limit=lambda: self.budget)
        self.lines = [f"new {nslots} {stride} {MODES[self.mode]}"]
        self.wanted = []
        self.tokens = []
        self.select = self.compare = 0

    def put(self, result, name, a=0, flags=0, select=0, compare=0, pstate=0, bits=0, usable=1):
        self.lines.append(f"{name} {a} {flags} {select} {compare} {pstate} {bits} {usable}")
        self.wanted.append(json.dumps(result, separators=(",", ":")))

    def enable(self):
        gpa = 0x80000000 + self.rnd.choice([0, 0, 0x1000, 0x40])
        flags = self.rnd.choice([1, 1, 1, 3, 7, 0, 9])
        usable = self.rnd.random() < .9
        select = self.rnd.choice([0] * 12 + [0x80, 0xf])
        compare = self.rnd.choice([0] * 30 + [4])
        result = self.apf.enable(gpa, flags, bool(usable))
        if result[0] == 0:
            self.select, self.compare = select, compare
        self.put(result, "enable", gpa, flags, select, compare, usable=int(usable))

    def fault(self):
        gfn = self.rnd.randrange(2 * self.apf.n + 8)
        ctx = {n: self.rnd.random() < .5 for n in CALLERS if self.rnd.random() < .02}
        pstate = self.rnd.choice([0, 0, 0x80, 0x3c5])
        self.budget = int(self.rnd.random() < .97)
        result = self.apf.fault(gfn, pstate=pstate, gate_select=self.select,
                                gate_compare=self.compare, **ctx)
        if result[2] is not None:
            self.tokens = (self.tokens + [result[2]])[-300:]
        bits = facts({**ctx, "token_free": self.budget > 0})
        self.put(result, "fault", gfn, pstate=pstate, bits=bits)

    def np_complete(self):
        failed = self.rnd.random() < .2
        if self.rnd.random() < .3:
            token = self.rnd.choice(self.tokens + [0, 0xffffffff, self.rnd.randrange(1 << 40)])
            self.put(self.apf.np_complete(failed, token), "np_ack", token, int(failed))
        else:
            self.put(self.apf.np_complete(failed), "np_complete", 0, int(failed))

    def page_done(self):
        waiting = [M.tok_make(self.apf.epoch, s["seq"], i) for i, s in enumerate(self.apf.slots)
                   if s["st"] in (M.QUEUED, M.NOTIFIED)]
        token = self.rnd.randrange(1 << 32)
        if waiting and self.rnd.random() < .7:
            token = self.rnd.choice(waiting)
        elif self.tokens and self.rnd.random() < .95:
            token = self.rnd.choice(self.tokens)
        self.put(self.apf.page_done(token), "page_done", token)

    def ack(self):
        cons = self.rnd.choice([self.apf.prod, self.apf.hcons, self.apf.prod + 1,
                                self.rnd.randrange(1 << 32)])
        self.put(self.apf.ack(cons), "ack", cons)

    def guest(self):
        value = self.apf.prod if self.rnd.random() < .8 else self.rnd.randrange(1 << 32)
        self.put(self.apf.guest_poke_cons(value), "guest_poke_cons", value)

    def rare(self):
        kind = self.rnd.randrange(4)
        if kind == 0:
            self.put(self.apf.disable(), "disable")
        elif kind == 1:
            self.put(self.apf.reset(), "reset")
            self.select = self.compare = 0
        elif kind == 2:
            self.put(self.apf.restore(self.apf.save()), "restore")
        else:
            self.put(self.apf.save(), "save")

    def step(self):
        n = self.rnd.randrange(200)
        if n < 2 or (not self.apf.enabled and n % 2):
            self.enable()
        elif n < 3:
            self.rare()
        elif n < 70:
            self.fault()
        elif n < 100:
            self.put(self.apf.enter(), "enter")
        elif n < 104:
            self.put(self.apf.withdraw(), "withdraw")
        elif n < 134:
            self.np_complete()
        elif n < 170:
            self.page_done()
        elif n < 180:
            self.ack()
        elif n < 194:
            self.guest()
        elif n < 197:
            self.put(self.apf.wakeall(), "wakeall")
        else:
            self.put(self.apf.state(), "state")


def batch(driver, seed, count):
    run, kinds = Run(random.Random(seed)), {}
    run.enable()
    while len(run.wanted) < count:
        run.step()
    got = diff.ask(driver, run.lines, len(run.wanted))
    for line, answer in zip(run.lines[1:], got):
        name = line.split()[0]
        if name == "fault":
            name = "fault: " + " ".join(json.loads(answer)[:2])
        kinds[name] = kinds.get(name, 0) + 1
    for i, wanted in enumerate(run.wanted):
        if got[i] != wanted:  # from here on both go their own ways
            return [f"seed {seed}, {run.lines[0]}, event {i}: {run.lines[i + 1]}\n    model {wanted}\n"
                    f"    apf.c {got[i]}"], kinds
    return [], kinds


if __name__ == "__main__":
    sys.exit(diff.main("events of apf", batch, BATCH, 1000000))
