/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "board.h"
#include "uart.h"
#include "virt.h"

struct board {
    struct machine *machine;
    int wake;
    pthread_mutex_t lock; /* of all below */
    struct uart uart;
    bool listens; /* stdin has not ended */
    bool starved; /* the UART was full; whoever makes room wakes the thread that reads stdin */
};

/* --- the UART -------------------------------------------------------------------------------- */

static void on_transmit(void *user, uint8_t byte)
{
    const struct board *b = user;
    const char text[] = {(char)byte};

    console_write(b->machine, text, sizeof text);
}

static void on_interrupt(void *user, bool level)
{
    const struct board *b = user;

    hvcore_vm_irq(b->machine->vm, VIRT_UART_LINE, level);
}

static void wake_reader(struct board *b)
{
    const uint64_t one = 1;

    if (!b->starved || uart_room(&b->uart) == 0)
        return;
    b->starved = false;
    if (write(b->wake, &one, sizeof one) != (ssize_t)sizeof one)
        cli_system("input cannot be taken any more");
}

/* A byte at a time; the registers that the range has room for behind the eight are not there. */
static bool good_access(uint64_t gpa, uint32_t width)
{
    return width == 1 && gpa - VIRT_UART < UART_REGISTERS;
}

static uint32_t read_uart(void *user, hvcore_vcpu *vcpu, uint64_t gpa, uint32_t width,
                          uint64_t *value)
{
    struct board *b = user;

    (void)vcpu;
    if (!good_access(gpa, width))
        return HVCORE_MMIO_FAULT;
    pthread_mutex_lock(&b->lock);
    *value = uart_read(&b->uart, (uint32_t)(gpa - VIRT_UART));
    wake_reader(b);
    pthread_mutex_unlock(&b->lock);
    return HVCORE_MMIO_DONE;
}

static uint32_t write_uart(void *user, hvcore_vcpu *vcpu, uint64_t gpa, uint32_t width,
                           uint64_t value)
{
    struct board *b = user;

    (void)vcpu;
    if (!good_access(gpa, width))
        return HVCORE_MMIO_FAULT;
    pthread_mutex_lock(&b->lock);
    uart_write(&b->uart, (uint32_t)(gpa - VIRT_UART), (uint8_t)value);
    wake_reader(b);
    pthread_mutex_unlock(&b->lock);
    return HVCORE_MMIO_DONE;
}

/* --- the finisher ---------------------------------------------------------------------------- */

static uint32_t read_test(void *user, hvcore_vcpu *vcpu, uint64_t gpa, uint32_t width,
                          uint64_t *value)
{
    (void)user;
    (void)vcpu;
    (void)gpa;
    (void)width;
    *value = 0;
    return HVCORE_MMIO_DONE;
}

bool board_finishes(const struct machine *m, const hvcore_exit *e)
{
    return m->board && e->u.mmio.write && e->u.mmio.addr == VIRT_TEST;
}

/* --- what is typed: read from stdin no sooner than there is room for it ----------------------- */

static uint32_t room(struct board *b)
{
    uint32_t n;

    pthread_mutex_lock(&b->lock);
    n = uart_room(&b->uart);
    b->starved = b->listens && n == 0;
    pthread_mutex_unlock(&b->lock);
    return n;
}

bool board_listens(struct board *b)
{
    bool listens;

    pthread_mutex_lock(&b->lock);
    listens = b->listens;
    pthread_mutex_unlock(&b->lock);
    return listens;
}

int board_input_fd(struct board *b)
{
    return board_listens(b) && room(b) > 0 ? STDIN_FILENO : -1;
}

void board_input(struct board *b)
{
    uint8_t bytes[UART_FIFO];
    ssize_t n = read(STDIN_FILENO, bytes, room(b));
    const bool again = n < 0 && (errno == EINTR || errno == EAGAIN);

    pthread_mutex_lock(&b->lock);
    b->listens = n > 0 || again;
    for (ssize_t i = 0; i < n; i++)
        uart_receive(&b->uart, bytes[i]);
    pthread_mutex_unlock(&b->lock);
}

int board_wake_fd(const struct board *b)
{
    return b->wake;
}

void board_woken(struct board *b)
{
    uint64_t wakes;

    if (read(b->wake, &wakes, sizeof wakes) < 0 && errno != EAGAIN)
        cli_system("input");
}

/* --- building -------------------------------------------------------------------------------- */

static int add_plic(struct machine *m, hvcore_error *err)
{
    hvcore_irqchip_opts opts = HVCORE_IRQCHIP_OPTS_INIT;

    opts.gpa = VIRT_PLIC;
    opts.lines = VIRT_PLIC_LINES;
    return hvcore_irqchip_create(m->vm, &opts, err);
}

static int add_devices(struct machine *m, hvcore_error *err)
{
    hvcore_mmio_ops uart = HVCORE_MMIO_OPS_INIT, test = HVCORE_MMIO_OPS_INIT;
    int rc = add_plic(m, err);

    uart.read = read_uart;
    uart.write = write_uart;
    test.read = read_test; /* a store is an exit */
    if (rc == 0)
        rc = hvcore_vm_mmio_add(m->vm, VIRT_UART, VIRT_UART_LEN, &uart, m->board, NULL, err);
    if (rc == 0)
        rc = hvcore_vm_mmio_add(m->vm, VIRT_TEST, VIRT_TEST_LEN, &test, m->board, NULL, err);
    return rc;
}

static int open_board(struct board *b, struct machine *m)
{
    *b = (struct board){.machine = m,
                        .wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                        .lock = PTHREAD_MUTEX_INITIALIZER,
                        .listens = true};
    b->uart.transmit = on_transmit;
    b->uart.interrupt = on_interrupt;
    b->uart.user = b;
    uart_reset(&b->uart);
    return b->wake < 0 ? cli_system("no descriptor for the board") : CLI_OK;
}

int board_make(struct machine *m)
{
    hvcore_error err = HVCORE_ERROR_INIT;
    int rc, code;

    if (!m->options->kernel)
        return CLI_OK;
    m->board = malloc(sizeof *m->board);
    if (!m->board)
        return cli_system("no memory for the board");
    code = open_board(m->board, m);
    if (code != CLI_OK)
        return code;
    rc = add_devices(m, &err);
    return rc ? cli_library("the board cannot be made", rc, &err) : CLI_OK;
}

void board_close(struct machine *m)
{
    if (!m->board)
        return;
    if (m->board->wake >= 0)
        close(m->board->wake);
    free(m->board);
}
