# SPDX-License-Identifier: Apache-2.0
"""The Python binding above this machine's /dev/kvm: exits, registers, devices, debugging."""
import os

import pytest

import hvcore
from kvm_guest import CODE, DEVICE, SPIN, boot, need_kvm, new_vm, on_timer, up, vector

need_kvm()
# real mode is carried out in the kernel's emulator, which looks neither at INT3 nor at data points
EMULATED = os.path.exists("/sys/module/kvm_pvm")


# ---- exits and answers -------------------------------------------------------------------------


def test_the_backend_says_what_it_is():
    assert new_vm().backend["name"] == "kvm"
    assert "kvm" in [b["name"] for b in hvcore.backends() if b["max_vcpus"]]
    assert hvcore.VM("x86_64").backend["name"] == "kvm"  # the first that can
    with pytest.raises(hvcore.Error):
        hvcore.VM("x86_64", backend="bare")
    with pytest.raises(hvcore.Error) as error:
        up(SPIN)[1].run(max_insns=1)
    assert error.value.name == "E_UNSUPPORTED"


def test_ports():
    # mov ax, 0x1234; out 0x10, al; out 0x12, ax; in al, 0x20; in eax, 0x24; hlt
    _, cpu = up("b83412 e610 e712 e420 66e524 f4")
    match cpu.run(5.0):
        case hvcore.Pio(port=0x10, width=1, write=True, data=0x34, pc=None) as out:
            assert not out.needs_completion
        case other:
            pytest.fail(f"{other}")
    assert cpu.run(5.0) == hvcore.Pio(pc=None, port=0x12, width=2, write=True, data=0x1234)
    load = cpu.run(5.0)
    assert load == hvcore.Pio(pc=CODE + 7, port=0x20, width=1, write=False, data=0,
                              needs_completion=True)
    with pytest.raises(hvcore.Error) as error:
        cpu.run(5.0)
    assert error.value.name == "E_STATE"
    cpu.complete(0x77)
    assert (cpu.regs["rax"], cpu.regs["rip"]) == (0x1277, CODE + 9)
    assert cpu.run(5.0).width == 4
    cpu.deny()  # nobody is there: ones
    assert isinstance(cpu.run(5.0), hvcore.Halt) and cpu.regs["rax"] == 0xFFFF_FFFF
    with pytest.raises(hvcore.Error) as error:
        cpu.deny()
    assert error.value.name == "E_STATE"


def test_memory_exits():
    # mov word [8], 0xcafe; mov al, [4]; mov ebx, [12]; hlt
    _, cpu = up("c7060800feca a00400 668b1e0c00 f4")
    store = cpu.run(5.0)
    assert (store.addr, store.gpa, store.width, store.data) == (DEVICE + 8, DEVICE + 8, 2, 0xCAFE)
    assert store.write and store.pc_advanced and store.pc == CODE + 6 and store.cause is None
    load = cpu.run(5.0)
    assert (load.addr, load.width, load.write, load.pc) == (DEVICE + 4, 1, False, CODE + 6)
    assert load.needs_completion and not load.pc_advanced
    cpu.complete(0x5A)
    assert cpu.run(5.0).addr == DEVICE + 12
    cpu.deny()
    assert isinstance(cpu.run(5.0), hvcore.Halt)
    assert (cpu.regs["rax"], cpu.regs["rbx"]) == (0x5A, 0xFFFF_FFFF)


def test_callbacks():
    # mov cx, 100; again: mov [0], al; mov al, [0]; out 0x40, al; in al, 0x41; loop again; hlt
    vm, cpu = up("b96400 a20000 a00000 e640 e441 e2f4 f4")
    state, seen = {DEVICE: 0, 0x40: 0}, []

    def read(at, width):
        seen.append((at, width))
        return (state[DEVICE if at == DEVICE else 0x40] + 1) & 0xFF

    def write(at, width, value):
        seen.append((at, width))
        state[at] = value
    vm.mmio(DEVICE, 16, read, write)
    number = vm.pio(0x40, 2, read, write)
    with pytest.raises(hvcore.Error) as error:
        vm.pio(0x41, 2, read)
    assert error.value.name == "E_EXISTS"
    with pytest.raises(hvcore.Error) as error:
        vm.pio(0xFFFF, 2, read)
    assert error.value.name == "E_RANGE"
    assert isinstance(cpu.run(5.0), hvcore.Halt)
    assert seen == [(DEVICE, 1), (DEVICE, 1), (0x40, 1), (0x41, 1)] * 100
    assert cpu.regs["rax"] & 0xFF == 200  # one more each time it is read
    vm.remove_mmio(number)
    with pytest.raises(hvcore.Error):
        vm.remove_mmio(number)


def test_verdicts():
    vm, cpu = up("e440 e440 e440 f4")  # in al, 0x40, three times; hlt
    answers = iter([hvcore.MmioVerdict.RETRY, 5, hvcore.MmioVerdict.EXIT, hvcore.MmioVerdict.FAULT])
    vm.pio(0x40, 1, read=lambda port, width: next(answers))
    exit = cpu.run(5.0)
    assert isinstance(exit, hvcore.Pio) and (exit.port, exit.pc) == (0x40, CODE + 2)
    cpu.complete(6)
    assert cpu.regs["rax"] & 0xFF == 6
    assert isinstance(cpu.run(5.0), hvcore.Halt) and cpu.regs["rax"] & 0xFF == 0xFF
    assert next(answers, None) is None


def test_an_unknown_msr():
    # mov ecx, 0x12000000; rdmsr; rdmsr: #GP, vector 13; its handler: mov al, 13; out 0x80, al
    vm, cpu = up("66b900000012 0f32 0f32 f4")
    vector(vm, 13, "b00d e680")
    read = cpu.run(5.0)
    if isinstance(read, hvcore.Pio):
        pytest.skip("this kernel lacks KVM_CAP_X86_USER_SPACE_MSR: the guest got #GP at once")
    assert isinstance(read, hvcore.Sysreg) and (read.id, read.mask, read.write) == (0x12000000, 0,
                                                                                    False)
    cpu.complete(0x1122_3344_5566_7788)
    assert isinstance(cpu.run(5.0), hvcore.Sysreg)
    assert (cpu.regs["rax"], cpu.regs["rdx"]) == (0x5566_7788, 0x1122_3344)
    cpu.deny()
    exit = cpu.run(5.0)
    assert isinstance(exit, hvcore.Pio) and exit.data == 13


def test_an_injected_exception():
    vm, cpu = up("e610 f4")  # out 0x10, al; hlt
    vector(vm, 6, "b006 e680")
    cpu.run(5.0)
    with pytest.raises(hvcore.Error) as error:
        cpu.inject(2)
    assert error.value.name == "E_INVAL"
    cpu.inject(6)
    assert cpu.run(5.0).data == 6


def test_a_crash():
    # ud2, in protected mode with an IDT that is empty: #UD, #GP, double fault, the end
    _, cpu = up("0f0b", cr0=0x11, idtr_limit=0, cs=8, cs_limit=0xFFFF_FFFF, cs_flags=0xC09B,
                ss=16, ss_limit=0xFFFF_FFFF, ss_flags=0xC093)
    exit = cpu.run(5.0)
    assert isinstance(exit, hvcore.Crash) and exit.why == hvcore.CrashWhy.TRIPLE_FAULT
    assert exit.code == ()


# ---- registers ---------------------------------------------------------------------------------


def test_registers():
    _, cpu = up("f4")
    names = list(cpu.regs)
    assert {"rax", "r15", "rip", "rflags", "cr0", "efer", "cs_base", "gdtr_limit"} <= set(names)
    assert len(cpu.regs) == len(names) and "a0" not in cpu.regs and "pc" not in cpu.regs
    general = ["rax", "rcx", "rdx", "rbx", "rbp", "rsi", "rdi"] + [f"r{n}" for n in range(8, 16)]
    wanted = {name: 0x0123_4567_89AB_CD00 + n for n, name in enumerate(general)}
    cpu.regs.update(wanted)
    assert isinstance(cpu.run(5.0), hvcore.Halt)
    assert {name: cpu.regs[name] for name in general} == wanted
    assert cpu.regs["0x01000008"] == wanted["rax"]  # by number
    assert cpu.regs["cs_flags"] & 0x80  # present
    for name in ("x0", "0x02000108", "0xsp", "0x100000000", ""):
        with pytest.raises(KeyError):
            cpu.regs[name]
    with pytest.raises(KeyError):
        cpu.regs["0x02000108"] = 1  # cr1
    with pytest.raises(OverflowError):
        cpu.regs["rax"] = 1 << 64
    with pytest.raises(hvcore.Error) as error:
        cpu.regs["0x01000004"]
    assert error.value.name == "E_TYPE"


# ---- interrupts, events ------------------------------------------------------------------------


def test_interrupts_by_vector():
    # out 0x10, al; sti; mov cx, -1; loop .; out 0x11, al; hlt
    vm, cpu = up("e610 fb b9ffff e2fe e611 f4")
    vector(vm, 0x40, "e680 cf")  # out 0x80, al; iret
    vector(vm, 0x41, "e681 cf", at=0x5100)
    for number, level in ((0x40, 1), (0x41, 1), (0x42, 1), (0x42, 0)):
        cpu.irq(number, level)
    assert [cpu.run(5.0).port for _ in range(4)] == [0x10, 0x81, 0x80, 0x11]
    with pytest.raises(hvcore.Error) as error:
        cpu.irq(256)
    assert error.value.name == "E_RANGE"


# ICW1 to 4: vectors from 0x20, automatic end; all but line 3 masked; out 0x10, al; sti; hlt; jmp
PIC = "b011e620 b020e621 b004e621 b003e621 b0f7e621 e610 fb f4 ebfd"


def test_interrupt_controller_and_irqfd():
    vm = new_vm()
    vm.irqchip("pc", 24)
    cpu = boot(vm, PIC)
    vector(vm, 0x23, "e680 cf")
    assert cpu.run(5.0).port == 0x10
    vm.irq(3, 1)
    vm.irq(3, 0)
    assert cpu.run(5.0).port == 0x80
    fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    vm.irqfd(3, fd)
    on_timer(0.1, os.eventfd_write, fd, 1)  # HLT waits in the kernel, slice by slice
    assert cpu.run(5.0).port == 0x80
    assert isinstance(cpu.run(0.12), hvcore.Deadline)
    vm.remove_irqfd(3, fd)
    with pytest.raises(hvcore.Error):
        vm.irq(24, 1)
    with pytest.raises(ValueError, match="gicv3"):
        vm.irqchip("8259", 8)
    os.close(fd)


def test_msi():
    vm = new_vm()
    with pytest.raises(hvcore.Error) as error:
        vm.msi(0xFEE00000, 0x45)
    assert error.value.name == "E_STATE"
    vm.irqchip("pc", 24)
    # mov dword [0xf0], 0x1ff: the local APIC is on; out 0x10, al; sti; hlt; jmp
    cpu = boot(vm, "66c706f000ff010000 e610 fb f4 ebfd", ds_base=0xFEE00000)
    vector(vm, 0x45, "e645 cf")
    assert cpu.run(5.0).port == 0x10
    vm.msi(0xFEE00000, 0x45)
    assert cpu.run(5.0).port == 0x45


def test_ioevent():
    # mov al, 5; mov [0], al; mov al, 7; mov [0], al; out 0x55, al; hlt
    vm, cpu = up("b005a20000 b007a20000 e655 f4")
    fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    vm.ioevent(DEVICE, fd, width=1, value=5)
    vm.ioevent(0x55, fd, width=1, port=True)
    assert cpu.run(5.0).data == 7  # 5 went to the eventfd
    assert isinstance(cpu.run(5.0), hvcore.Halt) and os.eventfd_read(fd) == 2
    vm.remove_ioevent(DEVICE, fd, width=1, value=5)
    with pytest.raises(hvcore.Error) as error:
        vm.remove_ioevent(DEVICE, fd, width=1, value=5)
    assert error.value.name == "E_NOTFOUND"
    os.close(fd)


# ---- debugging, memory, statistics ---------------------------------------------------------------


def test_steps():
    _, cpu = up("90 40 43 f4")  # nop; inc ax; inc bx; hlt
    cpu.debug(step=True)
    for n in (1, 2, 3):
        stop = cpu.run(5.0)
        assert isinstance(stop, hvcore.Debug) and stop.kind == hvcore.DebugKind.STEP
        assert stop.pc == CODE + n and stop.status & 1 << 14  # DR6.BS
    cpu.debug()
    assert isinstance(cpu.run(5.0), hvcore.Halt)


def test_points():
    # push es; pop ds; nop; mov [0x3000], al; hlt
    _, cpu = up("06 1f 90 a20030 f4")
    watch = hvcore.Point(0x3000, hvcore.PointKind.WRITE, 1)
    cpu.debug(points=[CODE + 2, watch])
    stop = cpu.run(5.0)
    assert isinstance(stop, hvcore.Debug) and stop.kind == hvcore.DebugKind.POINT
    assert (stop.pc, stop.status & 15) == (CODE + 2, 1)
    for points, name in (([1, 2, 3, 4, 5], "E_LIMIT"), (range(33), "E_INVAL"),
                         ([hvcore.Point(8, hvcore.PointKind.WRITE, 3)], "E_INVAL")):
        with pytest.raises(hvcore.Error) as error:
            cpu.debug(points=points)
        assert error.value.name == name
    if EMULATED:
        pytest.skip("the rest: kvm_pvm's emulator does not look at data points")
    cpu.debug(points=[watch])
    assert cpu.run(5.0).pc == CODE + 6


def test_breakpoints():
    if EMULATED:
        pytest.skip("kvm_pvm's emulator does not intercept INT3")
    _, cpu = up("cc f4")  # int3; hlt
    cpu.debug(breakpoints=True)
    stop = cpu.run(5.0)
    assert isinstance(stop, hvcore.Debug) and stop.kind == hvcore.DebugKind.BREAKPOINT
    assert stop.pc == CODE


def test_dirty_log():
    # mov ax, 0x2000; mov ds, ax; mov [0x3000], al; mov [0x5000], al; hlt
    vm, cpu = up("b80020 8ed8 a20030 a20050 f4")
    vm.map(0x20000, hvcore.Memory(0x8000), dirty=True)
    for gpa, size in ((0, 0x1000), (0x20000, 0x9000), (0x20000, 0x1001)):
        with pytest.raises(hvcore.Error):
            vm.dirty(gpa, size)
    assert isinstance(cpu.run(5.0), hvcore.Halt)
    vm.write(0x27FFF, b"x")
    written = [0x23000, 0x25000, 0x27000]
    assert vm.dirty(0x20000, 0x8000, keep=True) == written
    assert vm.dirty(0x25000, 0x3000) == written[1:]
    assert vm.dirty(0x20000, 0x8000) == written[:1]
    assert vm.dirty(0x20000, 0x8000) == []


def test_duties():
    vm, _ = up("f4")
    duties = {duty.name: duty for duty in vm.duties()}
    assert set(duties) == {"mops", "at", "hedeleg", "spe", "apf", "step"}
    assert duties["mops"].source == "not applicable" and not duties["mops"].can_hide
    assert duties["step"].source == "kernel" and not duties["step"].counted
    assert all(duty.why and duty.release == os.uname().release for duty in duties.values())
    with pytest.raises(hvcore.Error) as error:
        vm.hide("mops")
    assert error.value.name == "E_UNSUPPORTED"
    with pytest.raises(ValueError, match="mops"):
        vm.hide("mop")


def test_kernel_statistics():
    vm, cpu = up("e610 e610 f4")
    cpu.run(5.0)
    first = vm.kernel_stats(cpu)
    cpu.run(5.0)
    assert vm.kernel_stats(0)["exits"] > first["exits"] > 0
    assert "exits" not in vm.kernel_stats() and vm.kernel_stats()
    with pytest.raises(hvcore.Error) as error:
        vm.kernel_stats(7)
    assert error.value.name == "E_NOTFOUND"
