#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""lib/fixup/apf*.c beside the reference model: the same random events, every result compared.

    diff_apf.py DRIVER [EVENTS]        HVCORE_MODELS names the folder of apf_model.py; without: 77
"""
import json
import os
import random
import subprocess
import sys

BITS = ("pager_async host_access restartable enabled area_ok fault_in_area dup token_free np_busy "
        "nested nested_optin mmu_on priv send_always inhibit pending_exc host_step ev_registered "
        "ev_enabled ev_masked ev_blocked_by_running irq_masked irq_line_ok").split()
CALLERS = [b for b in BITS if b not in
           ("enabled", "area_ok", "dup", "np_busy", "send_always", "nested_optin", "token_free")]
MODES = {"off": 0, "sdei": 1, "sse": 2, "irq": 3}


def facts(defaults, ctx):
    merged = {**defaults, **ctx}
    return sum(1 << i for i, name in enumerate(BITS) if merged[name])


class Run:
    """One object of the model, and the lines that make the driver do the same."""

    def __init__(self, model, rnd):
        self.model, self.rnd = model, rnd
        self.budget = 1
        self.mode = rnd.choice(["sdei", "sdei", "sse", "irq", "off"])
        nslots = rnd.choice([1, 2, 3, 8, 64, 254])
        stride = rnd.choice([64, 128, 2048])
        self.apf = model.Apf(nslots=nslots, stride=stride, mode=self.mode,
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
        select = self.rnd.choice([0, 0, 0x80, 0xf])
        compare = self.rnd.choice([0, 0, 0, 4])
        result = self.apf.enable(gpa, flags, bool(usable))
        if result[0] == 0:
            self.select, self.compare = select, compare
        self.put(result, "enable", gpa, flags, select, compare, usable=int(usable))

    def fault(self):
        gfn = self.rnd.randrange(12)
        ctx = {n: self.rnd.random() < .5 for n in CALLERS if self.rnd.random() < .02}
        pstate = self.rnd.choice([0, 0, 0x80, 0x3c5])
        self.budget = int(self.rnd.random() < .97)
        result = self.apf.fault(gfn, pstate=pstate, gate_select=self.select,
                                gate_compare=self.compare, **ctx)
        if result[2] is not None:
            self.tokens = (self.tokens + [result[2]])[-300:]
        bits = facts(self.model.GATE_DEFAULTS, {**ctx, "token_free": self.budget > 0})
        self.put(result, "fault", gfn, pstate=pstate, bits=bits)

    def np_complete(self):
        failed = self.rnd.random() < .2
        if self.rnd.random() < .3:
            token = self.rnd.choice(self.tokens + [0, 0xffffffff, self.rnd.randrange(1 << 40)])
            self.put(self.apf.np_complete(failed, token), "np_ack", token, int(failed))
        else:
            self.put(self.apf.np_complete(failed), "np_complete", 0, int(failed))

    def page_done(self):
        token = self.rnd.choice(self.tokens) if self.tokens and self.rnd.random() < .98 \
            else self.rnd.randrange(1 << 32)
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
        if n < 6:
            self.enable()
        elif n < 8:
            self.rare()
        elif n < 70:
            self.fault()
        elif n < 100:
            self.put(self.apf.enter(), "enter")
        elif n < 104:
            self.put(self.apf.withdraw(), "withdraw")
        elif n < 130:
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


def compare(driver, run):
    text = "\n".join(run.lines) + "\n"
    done = subprocess.run([driver], input=text, capture_output=True, text=True, check=True)
    got = done.stdout.splitlines()
    for i, wanted in enumerate(run.wanted):
        if i >= len(got) or got[i] != wanted:
            print(f"{run.lines[0]}\nevent {i}: {run.lines[i + 1]}\n  model {wanted}\n"
                  f"  apf.c {got[i] if i < len(got) else 'nothing'}")
            return False
    return len(got) == len(run.wanted)


def main():
    folder = os.environ.get("HVCORE_MODELS")
    if not folder or not os.path.exists(os.path.join(folder, "apf_model.py")):
        print("diff_apf: skipped, HVCORE_MODELS does not name the folder of apf_model.py")
        return 77
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    import apf_model
    driver, events = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1000000
    seed, done = 1, 0
    while done < events:
        run = Run(apf_model, random.Random(seed))
        run.enable()
        while len(run.wanted) < 5000:
            run.step()
        if not compare(driver, run):
            print(f"diff_apf: seed {seed} differs")
            return 1
        seed, done = seed + 1, done + len(run.wanted)
    print(f"diff_apf: {done} events in {seed - 1} runs, no difference")
    return 0


if __name__ == "__main__":
    sys.exit(main())
