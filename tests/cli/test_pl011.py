# SPDX-License-Identifier: Apache-2.0
"""The arm64 board's UART: against QEMU's own, register by register, and where QEMU says nothing,
against the Technical Reference Manual of the PL011 (TRM).

HVCORE_UART_DRIVER is the program tests/unit/uart_driver. QEMU answers with its processor stopped.
"""
import pathlib
import random
import subprocess

import pytest

from test_uart import DRIVER, Lines, Ours

TOP = pathlib.Path(__file__).parents[2]
UART = 0x9000000

pytestmark = pytest.mark.skipif(not DRIVER, reason="HVCORE_UART_DRIVER does not name the program")

DR, RSR, FR, ILPR, IBRD, FBRD, LCR_H, CR, IFLS, IMSC, RIS, MIS, ICR, DMACR = (
    0x00, 0x04, 0x18, 0x20, 0x24, 0x28, 0x2C, 0x30, 0x34, 0x38, 0x3C, 0x40, 0x44, 0x48)
FIFOS, ENABLE, LOOP = 0x10, 0x301, 0x80
RX_EMPTY, RX_FULL, TX_FULL, TX_EMPTY, LINES = 0x10, 0x40, 0x20, 0x80, 0x107
RX, TX, TIMEOUT, OVERRUN = 0x10, 0x20, 0x40, 0x400
FIFO = 16


class Arm(Ours):
    def __init__(self):
        Lines.__init__(self, DRIVER, "pl011")
        self.irq, self.room, self.out = 0, 0, None


class Qemu(Lines):
    def __init__(self, program):
        super().__init__(program, "-M", "virt,gic-version=3", "-cpu", "max", "-S", "-qtest",
                         "stdio", "-display", "none", "-nodefaults", "-nic", "none", "-serial",
                         "null")

    def _ask(self, line):
        answer = self.ask(line)
        assert answer and answer[0] == "OK", answer
        return int(answer[1], 16) if len(answer) > 1 else None

    def read(self, register):
        return self._ask(f"readl {UART + register:#x}")

    def write(self, register, value):
        self._ask(f"writel {UART + register:#x} {value:#x}")


@pytest.fixture(name="qemu", scope="session")
def fixture_qemu():
    found = subprocess.run([TOP / "scripts/qemu", "aarch64"], capture_output=True, text=True,
                           check=False)
    return found.stdout.strip() or pytest.skip(found.stderr)


@pytest.fixture(name="uart")
def fixture_uart():
    with Arm() as uart:
        yield uart


# --- against QEMU -------------------------------------------------------------------------------


def step(rng, ours, qemu):
    """QEMU's receiver has no trigger level and no time-out, and its modem's lines are not there."""
    register = rng.choice((DR, FR, ILPR, IBRD, FBRD, LCR_H, CR, IFLS, IMSC, RIS, MIS, ICR, DMACR,
                           0xFE0, 0xFE8, 0xFF4, 0x14, 0x4C, 0x800))
    if register == DR or rng.random() < 0.5:
        value = rng.randrange(1 << 16)
        value = {CR: value & 0xFF03, IMSC: value & 0x7FF, DMACR: value & 7, FBRD: value & 0x3F,
                 LCR_H: value & 0xFE, IFLS: value & 0x3F, ILPR: value & 0xFF, IBRD: value & 0xFFFF,
                 }.get(register, value)
        if register in (FR, RIS, MIS) or register > DMACR:
            return "nothing"
        ours.write(register, value)
        qemu.write(register, value)
        return f"w {register:#x} {value:#x}"
    mine, theirs = ours.read(register), qemu.read(register)
    if register == FR:
        mine, theirs = mine & ~LINES, theirs & ~LINES
    assert mine == theirs, (hex(register), hex(mine), hex(theirs))
    return f"r {register:#x}"


@pytest.mark.parametrize("seed", range(4))
def test_like_qemu(qemu, seed):
    rng, log = random.Random(seed), []
    with Arm() as ours, Qemu(qemu) as theirs:
        for _ in range(3000):
            try:
                log.append(step(rng, ours, theirs))
            except AssertionError as why:
                pytest.fail(f"{why} after {log[-30:]}")


def test_state_after_a_reset_is_qemus(qemu):
    with Arm() as ours, Qemu(qemu) as theirs:
        for register in (FR, ILPR, IBRD, FBRD, LCR_H, CR, IFLS, IMSC, RIS, MIS, DMACR,
                         *range(0xFE0, 0x1000, 4)):
            mask = LINES if register == FR else 0
            assert ours.read(register) & ~mask == theirs.read(register) & ~mask, hex(register)


# --- against the manual -------------------------------------------------------------------------


def test_reserved_bits_are_not_kept(uart):
    """TRM 3.3.8; QEMU keeps them."""
    assert uart.write(CR, 0xFFFF).read(CR) == 0xFF87


def test_what_is_sent_goes_out(uart):
    assert uart.write(DR, 0x141).out == 0x41
    assert uart.read(FR) & (TX_EMPTY | TX_FULL) == TX_EMPTY


def test_the_transmitters_interrupt(uart):
    """TRM 2.8.3: not before something has been sent, then until it is cleared."""
    uart.write(CR, ENABLE).write(IMSC, TX)
    assert uart.irq == 0
    uart.write(DR, 65)
    assert uart.irq == 1 and uart.read(MIS) == TX
    uart.write(ICR, TX)
    assert uart.irq == 0 and uart.read(RIS) == 0


def test_one_character_without_fifos(uart):
    uart.write(IMSC, RX).receive(65)
    assert uart.irq == 1 and uart.read(MIS) == RX and uart.room == 0
    assert uart.read(FR) & (RX_EMPTY | RX_FULL) == RX_FULL
    assert uart.read(DR) == 65 and uart.irq == 0 and uart.room == 1
    assert uart.read(FR) & RX_EMPTY and uart.read(RIS) == 0


@pytest.mark.parametrize("level,count", [(0, 2), (1, 4), (2, 8), (3, 12), (4, 14)])
def test_trigger_level(uart, level, count):
    """TRM 3.3.9: eighths of the FIFO; fewer interrupt after a while, here at once (2.8.4)."""
    uart.write(LCR_H, FIFOS).write(IFLS, level << 3).write(IMSC, RX)
    uart.receive(*range(count - 1))
    assert uart.irq == 0 and uart.read(RIS) == TIMEOUT
    uart.receive(99)
    assert uart.irq == 1
    assert uart.read(DR) == 0 and uart.irq == 0
    uart.write(IMSC, TIMEOUT)
    assert uart.irq == 1
    assert [uart.read(DR) for _ in range(count - 1)] == [*range(1, count - 1), 99]
    assert uart.irq == 0 and uart.read(RIS) == 0


def test_cleared_interrupts_stay_so_until_the_next_character(uart):
    uart.write(LCR_H, FIFOS).write(IMSC, RX | TIMEOUT).receive(1)
    uart.write(ICR, RX | TIMEOUT)
    assert uart.irq == 0
    uart.receive(2)
    assert uart.irq == 1


def test_fifo_is_full(uart):
    uart.write(LCR_H, FIFOS).write(IMSC, RX | OVERRUN)
    assert uart.room == FIFO
    uart.receive(*range(FIFO))
    assert uart.room == 0 and uart.read(FR) & RX_FULL and not uart.read(RIS) & OVERRUN
    uart.receive(99)  # lost, and said
    assert uart.read(RIS) & OVERRUN
    values = [uart.read(DR) for _ in range(FIFO)]
    assert [v & 0xFF for v in values] == list(range(FIFO)) and values[-1] & 0x800
    assert uart.read(RSR) == 8
    uart.write(RSR, 0)
    assert uart.read(RSR) == 0 and uart.read(FR) & RX_EMPTY


def test_switching_fifos_throws_away(uart):
    uart.write(LCR_H, FIFOS).write(IMSC, TIMEOUT).receive(1, 2)
    uart.write(LCR_H, 0)
    assert uart.read(FR) & RX_EMPTY and uart.irq == 0 and uart.room == 1


def test_loop(uart):
    """TRM 3.3.8, LBE: what is sent comes in; outputs are inputs; nothing comes from outside."""
    uart.write(IMSC, RX).write(CR, ENABLE | LOOP | 0x1400)  # DTR, OUT1
    assert uart.write(DR, 66).out is None and uart.room == 0
    assert uart.read(DR) == 66
    assert uart.read(FR) & LINES == 6  # DSR, DCD


def test_nothing_comes_in_before_the_guest_waits(uart):
    """A driver that begins throws away what has come. Looks at FR between what is sent are none."""
    assert uart.room == 0
    for _ in range(100):
        uart.read(FR)
        uart.read(FR)
        uart.write(DR, 65)
    assert uart.room == 0
    for _ in range(16):
        uart.read(FR)
    assert uart.room == 1
    uart.write(IMSC, 0)
    assert uart.room == 0
