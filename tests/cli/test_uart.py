# SPDX-License-Identifier: Apache-2.0
"""The board's UART: against QEMU's own, register by register, and where QEMU says nothing, against
the data sheet of the PC16550D (DS).

HVCORE_UART_DRIVER is the program tests/unit/uart_driver. QEMU answers with its processor stopped
(-S), and with it the time: what a FIFO does after a while is the data sheet's.
"""
import os
import random
import shutil
import subprocess

import pytest

DRIVER = os.environ.get("HVCORE_UART_DRIVER", "")
QEMU = "qemu-system-riscv64"
UART = 0x10000000

pytestmark = pytest.mark.skipif(not DRIVER, reason="HVCORE_UART_DRIVER does not name the program")

DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR = range(8)
FCR = IIR
DLAB, LOOP = 0x80, 0x10
IIR_ID = 0x0F
RECEIVED, TIMEOUT, EMPTY, LINE, MODEM, NONE = 4, 12, 2, 6, 0, 1


class Lines:
    """A program that answers each line with one."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().split()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.kill()
        self.process.wait()


class Ours(Lines):
    def __init__(self):
        super().__init__(DRIVER)
        self.irq, self.room, self.out = 0, 1, None

    def _ask(self, line):
        word, irq, room = self.ask(line)
        self.irq, self.room = int(irq), int(room)
        return None if word == "-" else int(word, 16)

    def read(self, register):
        return self._ask(f"r {register:x}")

    def write(self, register, value):
        self.out = self._ask(f"w {register:x} {value:x}")
        return self

    def receive(self, *values):
        for value in values:
            self._ask(f"i {value:x}")
        return self


class Qemu(Lines):
    def __init__(self):
        super().__init__(QEMU, "-M", "virt", "-S", "-bios", "none", "-qtest", "stdio", "-display",
                         "none", "-nodefaults", "-serial", "null")

    def _ask(self, line):
        answer = self.ask(line)
        assert answer and answer[0] == "OK", answer
        return int(answer[1], 16) if len(answer) > 1 else None

    def read(self, register):
        return self._ask(f"readb {UART + register:#x}")

    def write(self, register, value):
        self._ask(f"writeb {UART + register:#x} {value:#x}")


# --- against QEMU -------------------------------------------------------------------------------


def equal(register, mine, theirs):
    """QEMU does not note changes of the modem's lines in a loop (MSR, low half)."""
    if register == MSR:
        return mine & 0xF0 == theirs & 0xF0
    return mine == theirs


def step(rng, ours, qemu, state):
    register = rng.choice((DATA, DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR))
    latch = state["lcr"] & DLAB
    if rng.random() < 0.5:
        if register == DATA and not latch and not ours.read(LSR) & qemu.read(LSR) & 1:
            return "r 5"  # nothing has come in: what is read then is not defined
        mine, theirs = ours.read(register), qemu.read(register)
        assert equal(register, mine, theirs), (register, hex(mine), hex(theirs))
        return f"r {register}"
    value = rng.randrange(256)
    if register == IER and not latch:
        value &= 7  # without the modem's interrupts: see equal()
    if register == LCR:
        state["lcr"] = value
    if register == FCR:
        # A trigger of one byte: nothing waits for time to pass. Without bit 0 QEMU takes the others
        # all the same (DS 8.5: "will not be programmed").
        value = value & 0x3F if value & 1 else 0
    ours.write(register, value)
    qemu.write(register, value)
    return f"w {register} {value:#x}"


@pytest.mark.skipif(not shutil.which(QEMU), reason=f"no {QEMU}")
@pytest.mark.parametrize("seed", range(8))
def test_like_qemu(seed):
    rng, log, state = random.Random(seed), [], {"lcr": 0}
    with Ours() as ours, Qemu() as qemu:
        for register, value in ((LCR, DLAB), (DATA, 0), (IER, 0), (LCR, 0), (MCR, 0), (SCR, 0)):
            qemu.write(register, value)  # QEMU begins in a state of its own
        for _ in range(3000):
            try:
                log.append(step(rng, ours, qemu, state))
            except AssertionError as why:
                pytest.fail(f"{why} after {log[-30:]}")


# --- against the data sheet ---------------------------------------------------------------------


@pytest.fixture(name="uart")
def fixture_uart():
    with Ours() as uart:
        yield uart


def test_after_a_reset(uart):
    """DS, table I."""
    assert [uart.read(r) for r in (IER, IIR, LCR, MCR, LSR, MSR)] == [0, 1, 0, 0, 0x60, 0xB0]
    assert not uart.irq


@pytest.mark.parametrize("bits,level", [(0x00, 1), (0x40, 4), (0x80, 8), (0xC0, 14)])
def test_a_fifo_interrupts_at_its_trigger(uart, bits, level):
    """DS 8.5; below it after the time of four bytes, which here is none."""
    uart.write(FCR, 1 | bits).write(IER, 1)
    assert uart.read(IIR) == 0xC0 | NONE
    for n in range(1, 17):
        uart.receive(n)
        assert uart.irq and uart.read(IIR) == 0xC0 | (RECEIVED if n >= level else TIMEOUT)
    for n in range(1, 17):
        assert uart.irq and uart.room == n - 1 and uart.read(DATA) == n
    assert not uart.irq and uart.read(LSR) == 0x60


def test_a_full_fifo_keeps_what_it_has(uart):
    """DS 8.4.3: the byte that does not fit is lost; LSR says so once."""
    uart.write(FCR, 1).write(IER, 5).receive(*range(17))
    assert uart.read(IIR) & IIR_ID == LINE and uart.read(LSR) == 0x63 and uart.read(LSR) == 0x61
    assert uart.read(IIR) & IIR_ID == RECEIVED
    assert [uart.read(DATA) for _ in range(16)] == list(range(16))


def test_without_fifos_the_last_byte_stays(uart):
    uart.write(IER, 1).receive(1, 2)
    assert uart.room == 0 and uart.read(LSR) == 0x63 and uart.read(DATA) == 2 and uart.room == 1


def test_there_is_room_when_somebody_waits(uart):
    """Ours: a driver looks at LSR to send, and clears the FIFOs, before it begins to receive."""
    for register in (LSR, DATA, LSR, MSR, LSR):
        uart.read(register)
        assert uart.room == 0
    uart.read(LSR)
    assert uart.room == 1  # two looks in a row: it polls
    uart.write(FCR, 1)
    assert uart.room == 0
    uart.write(IER, 1)
    assert uart.room == 16
    uart.write(IER, 0)
    assert uart.room == 0


def test_the_transmitter_is_always_empty(uart):
    """DS 8.6: the interrupt comes when it is enabled, goes when IIR has said it, and comes again
    after a byte."""
    assert uart.write(DATA, 0x41).out == 0x41 and not uart.irq and uart.read(LSR) == 0x60
    assert uart.write(IER, 2).irq
    assert uart.read(IIR) == EMPTY and not uart.irq and uart.read(IIR) == NONE
    uart.write(DATA, 0x42)
    assert uart.irq and uart.write(IER, 0).irq == 0


def test_the_first_interrupt_is_told_first(uart):
    """DS, table IV."""
    uart.write(FCR, 1).write(IER, 15).write(MCR, LOOP).write(MCR, 0).receive(*range(17))
    told = []
    for register in (LSR, DATA, None, MSR):
        told.append(uart.read(IIR) & IIR_ID)
        for _ in range(16 if register == DATA else 1 if register else 0):
            uart.read(register)
    assert told == [LINE, RECEIVED, EMPTY, MODEM]
    assert uart.read(IIR) & IIR_ID == NONE and not uart.irq


def test_the_loop(uart):
    """DS 8.7: bytes come back, the modem's outputs are its inputs, and nothing goes out."""
    uart.write(MCR, LOOP | 0x0F)
    assert uart.read(MSR) & 0xF0 == 0xF0 and uart.room == 0
    assert uart.write(DATA, 0x55).out is None and uart.read(DATA) == 0x55
    uart.write(MCR, LOOP | 0x0A)
    assert uart.read(MSR) == 0x90 | 0x06  # DSR has changed, RI has fallen
    assert uart.read(MSR) == 0x90


def test_the_divisor_hides_two_registers(uart):
    uart.write(IER, 5).write(LCR, DLAB).write(DATA, 0x12).write(IER, 0x34)
    assert uart.out is None and (uart.read(DATA), uart.read(IER)) == (0x12, 0x34)
    uart.write(LCR, 3)
    assert uart.read(IER) == 5 and uart.read(LCR) == 3
