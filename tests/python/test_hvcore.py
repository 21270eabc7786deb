# SPDX-License-Identifier: Apache-2.0
"""The Python binding, driven as a user would drive it. Guests are a few words of RV64I."""
import gc
import pathlib
import re
import signal
import struct
import threading
import time

import pytest

import hvcore
from hvcore import _exits
from hvcore._hvcore import ffi, lib

RAM = 0x8000_0000
DEVICE = 0x1000_0000
SPIN = 0x0000006F          # j .
LUI_T0_DEVICE = 0x100002B7  # lui t0, 0x10000
LW_A0_T0 = 0x0002A503       # lw a0, 0(t0)
SW_A0_T0 = 0x00A2A023       # sw a0, 0(t0)
ECALL = 0x00000073
ILLEGAL = 0x00000000


def words(*insns):
    return struct.pack(f"<{len(insns)}I", *insns)


@pytest.fixture
def machine():
    vm = hvcore.VM("riscv64")
    vm.map(RAM, hvcore.Memory(2 << 20))
    return vm


def boot(vm, *insns, **regs):
    vm.write(RAM, words(*insns))
    cpu = vm.vcpu(0)
    cpu.regs.update(pc=RAM, **regs)
    return cpu


def test_version_and_backends():
    assert hvcore.version().count(".") == 2
    assert ("bare", "soft") in [(b["name"], b["machine"]) for b in hvcore.backends()]


def test_all_of_the_stable_api_is_there():
    headers = pathlib.Path(__file__).parents[2].glob("include/hvcore/*.h")
    text = "".join(h.read_text() for h in headers if not h.name.startswith("x-"))
    declared = set(re.findall(r"^HVCORE_API\b[^;(]*?(\w+)\(", text, re.M))
    assert len(declared) > 60 and not declared - set(dir(lib))
    errors = {name for name in dir(lib) if name.startswith("HVCORE_E_")}
    assert {hvcore.Error(getattr(lib, name), "").name for name in errors} == {
        name.removeprefix("HVCORE_") for name in errors}


def record_of(reason, have=0, flags=0, **parts):
    """An exit as the library fills it, for what no machine here can be brought to do."""
    c = ffi.new("hvcore_exit *")
    c.size, c.reason, c.have, c.flags = ffi.sizeof("hvcore_exit"), reason, have, flags
    c.pc, c.gpa, c.syndrome, c.cls = 0x1000, 0x2000, 0x93000000, 0x24
    for member, fields in parts.items():
        for name, value in fields.items():
            setattr(getattr(c.u, member), name, value)
    return _exits.make(c)


def test_every_reason_has_its_class():
    other = ("NONE", "NEEDS_COMPLETION", "POLICY_RULE", "PC_ADVANCED")
    reasons = {name: getattr(lib, name) for name in dir(lib) if name.startswith("HVCORE_EXIT_")
               and name.removeprefix("HVCORE_EXIT_") not in other}
    assert set(_exits._KINDS) == set(reasons.values())
    assert {kind.__name__ for kind, _, _ in _exits._KINDS.values()} <= set(hvcore.__all__)


def test_exits_that_only_a_kernel_makes():
    gpa, pc = lib.HVCORE_HAVE_GPA, lib.HVCORE_HAVE_PC
    assert record_of(lib.HVCORE_EXIT_MEMORY, gpa,
                     memory={"size": 4096, "flags": 8, "sys_errno": 14}) == hvcore.MemoryFault(
        pc=None, gpa=0x2000, size=4096, flags=8, errno=14)
    codes = list(range(1, 15))
    assert record_of(lib.HVCORE_EXIT_CRASH, pc, crash={"why": 3, "count": 2, "code": codes}
                     ) == hvcore.Crash(pc=0x1000, why=hvcore.CrashWhy.EMULATION, code=(1, 2))
    assert record_of(lib.HVCORE_EXIT_SYSREG, pc, lib.HVCORE_EXIT_NEEDS_COMPLETION,
                     sysreg={"id": 0x800, "value": 5, "mask": 7}) == hvcore.Sysreg(
        pc=0x1000, id=0x800, value=5, mask=7, write=True, needs_completion=True)
    assert record_of(lib.HVCORE_EXIT_SUSPEND, reset={"type": 5, "reason": 1}) == hvcore.Suspend(
        pc=None, type=5, reason=1)
    assert record_of(lib.HVCORE_EXIT_WAKEUP) == hvcore.Wakeup(pc=None)
    assert record_of(lib.HVCORE_EXIT_TRAP, gpa | lib.HVCORE_HAVE_SYNDROME) == hvcore.Trap(
        pc=None, gpa=0x2000, cause=0x24, syndrome=0x93000000)
    assert record_of(lib.HVCORE_EXIT_DEBUG, pc, debug={"kind": 3, "addr": 8, "status": 9}
                     ) == hvcore.Debug(pc=0x1000, kind=hvcore.DebugKind.POINT, addr=8, status=9)


def test_what_only_a_kernel_does(machine):
    cpu = boot(machine, SPIN)
    for refused in (machine.kernel_stats, cpu.deny, lambda: cpu.debug(step=True),
                    lambda: machine.hide("mops"), lambda: machine.msi(0, 0),
                    lambda: machine.irqfd(1, 0), lambda: machine.ioevent(0, 0),
                    lambda: machine.pio(0x10, 1), lambda: machine.dirty(RAM, 4096),
                    lambda: machine.map(0, hvcore.Memory(4096), dirty=True),
                    lambda: hvcore.VM("riscv64", "bare", el2=True)):
        with pytest.raises(hvcore.Error) as error:
            refused()
        assert error.value.name in ("E_UNSUPPORTED", "E_NOTFOUND")
    duties = {duty.name: duty for duty in machine.duties()}
    assert (duties["hedeleg"].source, duties["hedeleg"].counted) == ("library", True)
    assert machine.backend["name"] == "bare"


def test_registers_that_a_guest_lacks(machine):
    """Without F and D, which VM() always gives."""
    opts, out = ffi.new("hvcore_vm_opts *"), ffi.new("hvcore_vm **")
    opts.size, opts.arch = ffi.sizeof("hvcore_vm_opts"), lib.HVCORE_ARCH_RISCV64
    opts.isa = lib.HVCORE_RISCV64_ISA_BASE
    backend = ffi.new("char[]", b"bare")
    opts.backend = backend
    assert lib.hvcore_vm_create(hvcore.Context()._c, opts, out, ffi.NULL) == 0
    full = set(machine.vcpu(0).regs)
    machine._c = ffi.gc(out[0], lib.hvcore_vm_unref)
    less = machine.vcpu(0).regs
    assert full - set(less) == {"fcsr"} | {f"f{n}" for n in range(32)}
    assert "f0" not in less and "a0" in less and len(less) == len(full) - 33


def test_interrupts(machine):
    machine.irqchip("plic", 8, gpa=0x0C00_0000)
    machine.irq(3, 1)
    cpu = boot(machine, 0x0C0012B7, LW_A0_T0, SPIN)  # lui t0, 0xc001: the PLIC's pending bits
    assert isinstance(cpu.run(0.02), hvcore.Deadline) and cpu.regs["a0"] == 1 << 3


def test_a_cancel_survives_an_exception(machine):
    answers = iter([LookupError, 9])

    def read(addr, width):
        answer = next(answers)
        if answer is LookupError:
            cpu.cancel(11)
            raise answer
        return answer
    machine.mmio(DEVICE, 16, read=read)
    cpu = boot(machine, LUI_T0_DEVICE, LW_A0_T0, SPIN)
    with pytest.raises(LookupError):
        cpu.run(1.0)
    assert cpu.run(1.0) == hvcore.Cancelled(pc=RAM + 4, token=11)
    assert isinstance(cpu.run(0.02), hvcore.Deadline) and cpu.regs["a0"] == 9


def test_mmio_exit_and_completion(machine):
    cpu = boot(machine, LUI_T0_DEVICE, LW_A0_T0, SW_A0_T0)
    load = cpu.run(1.0)
    assert isinstance(load, hvcore.Mmio) and not load.write and load.needs_completion
    assert (load.addr, load.width, load.pc, load.cause) == (DEVICE, 4, RAM + 4, 21)
    with pytest.raises(hvcore.Error) as error:
        cpu.run(1.0)
    assert error.value.name == "E_STATE" and "complete" in str(error.value)
    cpu.complete(0x8000_0001)
    assert cpu.regs["a0"] == 0xFFFF_FFFF_8000_0001  # lw extends the sign
    match cpu.run(1.0):
        case hvcore.Mmio(write=True, addr=addr, data=data):
            assert (addr, data) == (DEVICE, 0x8000_0001)
        case other:
            pytest.fail(f"{other}")


def test_mmio_callbacks(machine):
    seen = []
    machine.mmio(DEVICE, 16, read=lambda addr, width: addr + width,
                 write=lambda addr, width, value: seen.append((addr, width, value)))
    cpu = boot(machine, LUI_T0_DEVICE, LW_A0_T0, SW_A0_T0, SPIN)
    assert isinstance(cpu.run(0.05), hvcore.Deadline)
    assert seen == [(DEVICE, 4, DEVICE + 4)] and cpu.regs["pc"] == RAM + 12


def test_callback_exception_comes_out_of_run(machine):
    def broken(addr, width):
        raise LookupError("no such device register")
    machine.mmio(DEVICE, 16, read=broken)
    cpu = boot(machine, LUI_T0_DEVICE, LW_A0_T0, SPIN)
    with pytest.raises(LookupError, match="device register"):
        cpu.run(1.0)
    assert cpu.regs["pc"] == RAM + 4  # nothing of the load has happened
    with pytest.raises(LookupError):
        cpu.run(1.0)


def test_verdicts(machine):
    machine.mmio(DEVICE, 16, read=lambda addr, width: hvcore.MmioVerdict.FAULT)
    cpu = boot(machine, LUI_T0_DEVICE, LW_A0_T0, vstvec=RAM + 0x100)
    machine.write(RAM + 0x100, words(SPIN))
    assert isinstance(cpu.run(0.02), hvcore.Deadline)
    assert (cpu.regs["vscause"], cpu.regs["vstval"], cpu.regs["vsepc"]) == (5, DEVICE, RAM + 4)


def test_console_and_shutdown(machine):
    out = []
    machine.console(out.append)
    machine.write(RAM + 0x1000, b"hello")
    # the console write, then li a7, SRST; li a0, 0; li a1, 1; li a6, 0
    cpu = boot(machine, ECALL, 0x535258B7, 0x35488893, 0x00000513, 0x00100593, 0x00000813, ECALL,
               a7=0x4442434E, a6=0, a0=5, a1=RAM + 0x1000, a2=0)
    exit = cpu.run(1.0)
    assert b"".join(out) == b"hello"
    assert isinstance(exit, hvcore.Shutdown) and (exit.type, exit.reason) == (0, 1)


def test_hypercall(machine):
    cpu = boot(machine, ECALL, SPIN, a7=0x0900_0000, a6=3, a0=41)
    call = cpu.run(1.0)
    assert isinstance(call, hvcore.Hypercall)
    assert (call.nr, call.fid, call.args[0]) == (0x900_0000, 3, 41)
    cpu.complete(0, 42)
    assert (cpu.regs["a0"], cpu.regs["a1"], cpu.regs["pc"]) == (0, 42, RAM + 4)


def test_cancel_from_another_thread(machine):
    cpu = boot(machine, SPIN)
    threading.Timer(0.05, cpu.cancel, (7,)).start()
    assert cpu.run(5.0) == hvcore.Cancelled(pc=RAM, token=7)


def test_other_threads_run_meanwhile(machine):
    cpu = boot(machine, SPIN)
    turns = []
    stop = threading.Event()

    def count():
        while not stop.wait(0.001):
            turns.append(1)
    thread = threading.Thread(target=count)
    thread.start()
    cpu.run(0.2)
    stop.set()
    thread.join()
    assert len(turns) > 20


def test_keyboard_interrupt(machine):
    cpu = boot(machine, SPIN)
    main = threading.main_thread().ident
    # a background job inherits an ignored SIGINT
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(0.1, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            cpu.run(10.0)
        assert time.monotonic() - start < 2
    finally:
        signal.signal(signal.SIGINT, before)


def test_instruction_limit(machine):
    cpu = boot(machine, 0x00150513, 0xFFDFF06F)  # addi a0, a0, 1; j .-4
    assert isinstance(cpu.run(max_insns=1000), hvcore.InsnLimit)
    assert cpu.regs["a0"] == 500


def test_policy_moves_the_counts(machine):
    redirect = """{ "hvcore-policy": 1, "arch": "riscv64", "base": "linux-guest",
        "rules": [ { "cause": ["illegal-instruction"], "do": "redirect" } ] }"""
    cpu = boot(machine, ILLEGAL, vstvec=RAM + 0x100)
    machine.write(RAM + 0x100, words(SPIN))
    report = {i.cls: i for i in machine.set_policy(hvcore.Policy(redirect))}
    assert report[2].enforcer == hvcore.Enforcer.LIBRARY and report[2].rule == 1
    cpu.run(0.02)
    assert cpu.trap_counts(2)["redirected"] == 1 and cpu.regs["vscause"] == 2


def test_policy_exit(machine):
    policy = """{ "hvcore-policy": 1, "arch": "riscv64", "allow_exit": true,
        "rules": [ { "name": "all to me", "cause": ["illegal-instruction"], "do": "exit" } ] }"""
    machine.set_policy(hvcore.Policy(policy))
    exit = boot(machine, ILLEGAL).run(1.0)
    assert isinstance(exit, hvcore.Trap) and (exit.cause, exit.rule, exit.pc) == (2, 1, RAM)


@pytest.mark.parametrize("text, line", [("{", 1), ("[]", 1), ('{\n "hvcore-policy": 2}', 2)])
def test_bad_policies(text, line):
    with pytest.raises(hvcore.PolicyError) as error:
        hvcore.Policy(text)
    assert error.value.line == line and error.value.column > 0


def test_errors_are_sentences(machine):
    with pytest.raises(hvcore.Error) as error:
        machine.map(RAM, hvcore.Memory(4096))
    assert error.value.name == "E_EXISTS" and error.value.address == RAM
    with pytest.raises(hvcore.Error):
        hvcore.Memory(0)
    with pytest.raises(KeyError):
        machine.vcpu(0).regs["x32"]
    with pytest.raises(ValueError):
        hvcore.VM("pdp11")


def test_memory_view_outlives_its_mapping(machine):
    ram = hvcore.Memory(4096)
    machine.map(0x9000_0000, ram)
    view = ram.view()
    view[0:4] = b"abcd"
    assert machine.read(0x9000_0000, 4) == b"abcd"
    machine.unmap(0x9000_0000, 4096)
    del ram
    gc.collect()
    assert bytes(view[0:4]) == b"abcd"
    with pytest.raises(hvcore.Error):
        machine.read(0x9000_0000, 4)


def test_any_order_of_release():
    vm = hvcore.VM()
    vm.map(RAM, hvcore.Memory(4096))
    cpu = vm.vcpu(0)
    vm.write(RAM, words(SPIN))
    cpu.regs["pc"] = RAM
    del vm
    gc.collect()
    assert isinstance(cpu.run(max_insns=10), hvcore.InsnLimit)
