# SPDX-License-Identifier: Apache-2.0
"""Above /dev/kvm: cancels, threads, signals, and exceptions in callbacks."""
import os
import signal
import threading
import time

import pytest

import hvcore
from kvm_guest import CODE, DEVICE, SPIN, boot, need_kvm, new_vm, on_timer, up

need_kvm()
KICK = signal.SIGRTMAX - 1  # the library's choice


def test_deadline():
    _, cpu = up(SPIN)
    start = time.monotonic()
    assert cpu.run(0.12) == hvcore.Deadline(pc=CODE)
    assert 0.12 <= time.monotonic() - start < 2


def test_cancel_from_another_thread():
    _, cpu = up(SPIN)
    on_timer(0.05, cpu.cancel, 7)
    assert cpu.run(5.0) == hvcore.Cancelled(pc=CODE, token=7)


def test_no_cancel_is_lost_and_none_is_stale():
    vm = new_vm(vcpus=2)
    got = {0: [], 1: []}

    def work(cpu):
        while not got[cpu.index] or got[cpu.index][-1] < 200:
            exit = cpu.run(5.0)
            got[cpu.index].append(exit.token if isinstance(exit, hvcore.Cancelled) else 1000)
    cpus = [boot(vm, SPIN, index) for index in (0, 1)]
    threads = [threading.Thread(target=work, args=(cpu,)) for cpu in cpus]
    for thread in threads:
        thread.start()
    for token in range(1, 201):
        for cpu in cpus:
            cpu.cancel(token)
            while not got[cpu.index] or got[cpu.index][-1] < token:
                time.sleep(0)
    for thread in threads:
        thread.join()
    assert got == {0: list(range(1, 201)), 1: list(range(1, 201))}


def test_other_threads_run_meanwhile():
    _, cpu = up(SPIN)
    turns, stop = [], threading.Event()

    def count():
        while not stop.wait(0.001):
            turns.append(1)
    thread = threading.Thread(target=count)
    thread.start()
    cpu.run(0.2)
    stop.set()
    thread.join()
    assert len(turns) > 20


class Alarm(Exception):
    pass


def raise_alarm(*_):
    raise Alarm


@pytest.fixture
def handler():
    """Sets signal handlers, takes them back at the end."""
    before = {}

    def install(number, call):
        before.setdefault(number, signal.signal(number, call))
    yield install
    for number, call in before.items():
        signal.signal(number, call)


def kill_main(number):
    signal.pthread_kill(threading.main_thread().ident, number)


def test_keyboard_interrupt(handler):
    handler(signal.SIGINT, signal.default_int_handler)
    _, cpu = up(SPIN)
    on_timer(0.1, kill_main, signal.SIGINT)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        cpu.run(10.0)
    assert time.monotonic() - start < 2
    assert isinstance(cpu.run(0.01), hvcore.Deadline)  # and nothing is left over


def test_an_exit_that_an_exception_overtakes_is_returned_later(handler):
    # again: cmp byte [0x2000], 0 (es); je again; in al, 0x20; hlt
    vm, cpu = up("26803e002000 74f8 e420 f4")
    handler(signal.SIGUSR1, raise_alarm)

    def go():
        kill_main(signal.SIGUSR1)  # handled when run() is back in Python
        vm.write(0x2000, b"x")
    on_timer(0.12, go)
    with pytest.raises(Alarm):
        cpu.run(5.0)
    exit = cpu.run(5.0)
    assert isinstance(exit, hvcore.Pio) and exit.port == 0x20 and cpu.last == exit
    cpu.complete(3)
    assert isinstance(cpu.run(5.0), hvcore.Halt) and cpu.regs["rax"] == 3


@pytest.mark.parametrize("code", ["e440 f4", "a00000 f4"])  # in al, 0x40; mov al, [0]
def test_exception_of_a_read(code):
    vm, cpu = up(code)
    answers = iter([LookupError("no such register"), 9])

    def read(at, width):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer
    vm.pio(0x40, 1, read)
    vm.mmio(DEVICE, 1, read)
    with pytest.raises(LookupError, match="no such register"):
        cpu.run(5.0)
    assert (cpu.regs["rip"], cpu.regs["rax"]) == (CODE, 0)  # nothing of it has happened
    assert isinstance(cpu.run(5.0), hvcore.Halt) and cpu.regs["rax"] == 9


@pytest.mark.parametrize("code", ["b005 e640 f4", "b005 a20000 f4"])  # out 0x40, al; mov [0], al
def test_exception_of_a_write(code):
    vm, cpu = up(code)
    written = []

    def write(at, width, value):
        if not written:
            written.append("failed")
            raise LookupError("read-only")
        written.append(value)
    vm.pio(0x40, 1, write=write)
    vm.mmio(DEVICE, 1, write=write)
    with pytest.raises(LookupError):
        cpu.run(5.0)
    assert isinstance(cpu.run(5.0), hvcore.Halt)
    assert written == ["failed", 5]  # asked again, once


def test_keyboard_interrupt_in_a_callback(handler):
    handler(signal.SIGINT, signal.default_int_handler)
    vm, cpu = up("e440 ebfc")  # in al, 0x40; jmp

    def read(port, width):
        kill_main(signal.SIGINT)
        time.sleep(5)
        return 0
    vm.pio(0x40, 1, read)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        cpu.run(10.0)
    assert time.monotonic() - start < 2


def test_a_cancel_survives_an_exception_and_comes_once():
    vm, cpu = up("e440 f4")
    answers = iter([11, None, 9])

    def read(port, width):
        answer = next(answers)
        if answer == 9:
            return answer
        if answer:
            cpu.cancel(answer)
        raise LookupError
    vm.pio(0x40, 1, read)
    with pytest.raises(LookupError):
        cpu.run(5.0)
    assert cpu.run(5.0) == hvcore.Cancelled(pc=CODE, token=11)
    with pytest.raises(LookupError):
        cpu.run(5.0)
    assert isinstance(cpu.run(5.0), hvcore.Halt) and cpu.regs["rax"] == 9


def status(field):
    """A line of this thread's status, as the kernel tells it."""
    with open("/proc/thread-self/status", encoding="ascii") as file:
        return next(line.split()[1] for line in file if line.startswith(field + ":"))


def threads():
    """Those of this process, but for the kernel's own workers."""
    found = set()
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/comm", encoding="ascii") as file:
                found |= {task} if not file.read().startswith("kvm") else set()
        except OSError:
            pass  # it has ended
    return found


def test_handlers_masks_and_threads_are_left_alone():
    """What the kernel says of the process before and after a run; in a thread of its own."""
    said = []

    def look():
        return status("SigCgt"), status("SigIgn"), status("SigBlk")

    def work():
        # inherited from the thread that ran the guests before
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [KICK])
        _, cpu = up(SPIN)
        said.append(look())
        cpu.cancel()
        cpu.run(5.0)
        cpu.run(0.1)
        said.append(look())
        cpu.detach()
        said.append(look())
    main_mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    thread = threading.Thread(target=work)
    thread.start()
    running = threads()
    thread.join()
    assert threads() <= running
    before, after, detached = said
    kick = f"{int(before[2], 16) | 1 << KICK - 1:016x}"
    assert after == (before[0], before[1], kick) and after != before
    assert detached == before
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == main_mask


def test_handlers_of_python_run_while_a_guest_spins(handler):
    _, cpu = up(SPIN)
    calls = []
    handler(signal.SIGALRM, lambda *_: calls.append(time.monotonic()))
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    try:
        assert isinstance(cpu.run(0.5), hvcore.Deadline)  # they do not end the run
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    assert len(calls) >= 5
    gaps = [b - a for a, b in zip(calls, calls[1:])]
    assert max(gaps) < 1


def test_the_kick_signal_still_reaches_other_threads(handler):
    """A handler of the program's for the same signal, in threads that run no vCPU."""
    vm, calls = new_vm(), []
    handler(KICK, lambda *_: calls.append(1))
    cpu = boot(vm, SPIN)
    thread = threading.Thread(target=lambda: cpu.run(5.0))
    thread.start()
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, [KICK])
    try:
        signal.raise_signal(KICK)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    cpu.cancel()
    thread.join()
    assert calls == [1]


def test_a_kick_signal_that_the_program_handles(handler):
    calls = []
    with pytest.raises(ValueError, match="SIGUSR2|signal"):
        hvcore.Context(signal.SIGUSR2, kick_handled=True)  # nothing handles it yet
    handler(signal.SIGUSR2, lambda *_: calls.append(1))
    vm = new_vm(context=hvcore.Context(signal.SIGUSR2, kick_handled=True))
    cpu = boot(vm, SPIN)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    on_timer(0.12, cpu.cancel, 3)
    assert cpu.run(5.0) == hvcore.Cancelled(pc=CODE, token=3)
    assert calls and signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask
    with pytest.raises(hvcore.Error) as error:
        hvcore.VM("x86_64", "kvm", context=hvcore.Context(signal.SIGKILL))
    assert error.value.name == "E_INVAL"


def test_a_child_of_fork_gets_an_error():
    _, cpu = up(SPIN)
    cpu.run(0.01)
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        try:
            cpu.run(0.1)
            os.write(theirs, b"it ran")
        except hvcore.Error as error:
            os.write(theirs, f"{error.name} {error.errno}".encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    said = os.read(ours, 100).decode().split()
    assert said[0] == "E_SYS" and int(said[1]) > 0
    assert isinstance(cpu.run(0.01), hvcore.Deadline)
    os.close(ours)
    os.close(theirs)
