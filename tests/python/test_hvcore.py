# SPDX-License-Identifier: Apache-2.0
"""The Python binding, driven as a user would drive it. Guests are a few words of RV64I."""
import gc
import signal
import struct
import threading
import time

import pytest

import hvcore

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
    assert isinstance(call, hvcore.Hypercall) and (call.nr, call.fid, call.args[0]) == (0x900_0000, 3, 41)
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
