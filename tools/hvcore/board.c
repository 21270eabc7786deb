/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "arch.h"
#include "board.h"

struct board {
    struct machine *machine;
    const struct board_kind *kind;
    int wake;
    pthread_mutex_t lock; /* of all below */
    struct serial serial;
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

    if (b->kind->line)
        hvcore_vm_irq(b->machine->vm, b->kind->line, level);
}

static void wake_reader(struct board *b)
{
    const uint64_t one = 1;

    if (!b->starved || b->kind->serial->room(&b->serial) == 0)
        return;
    b->starved = false;
    if (write(b->wake, &one, sizeof one) != (ssize_t)sizeof one)
        cli_system("input cannot be taken any more");
}

static uint32_t read_uart(void *user, hvcore_vcpu *vcpu, uint64_t gpa, uint32_t width,
                          uint64_t *value)
{
    struct board *b = user;
    const uint64_t offset = gpa - b->kind->uart;

    (void)vcpu;
    if (!b->kind->serial->access(offset, width))
        return HVCORE_MMIO_FAULT;
    pthread_mutex_lock(&b->lock);
    *value = b->kind->serial->read(&b->serial, (uint32_t)offset);
    wake_reader(b);
    pthread_mutex_unlock(&b->lock);
    return HVCORE_MMIO_DONE;
}

static uint32_t write_uart(void *user, hvcore_vcpu *vcpu, uint64_t gpa, uint32_t width,
                           uint64_t value)
{
    struct board *b = user;
    const uint64_t offset = gpa - b->kind->uart;

    (void)vcpu;
    if (!b->kind->serial->access(offset, width))
        return HVCORE_MMIO_FAULT;
    pthread_mutex_lock(&b->lock);
    b->kind->serial->write(&b->serial, (uint32_t)offset, (uint32_t)value);
    wake_reader(b);
    pthread_mutex_unlock(&b->lock);
    return HVCORE_MMIO_DONE;
}

int board_finish(const struct machine *m, const hvcore_exit *e)
{
    return m->board && m->board->kind->finish ? m->board->kind->finish(e) : UNDECIDED;
}

bool board_interrupts(const struct machine *m)
{
    return m->board && m->board->kind->line;
}

/* --- what is typed: read from stdin no sooner than there is room for it ----------------------- */

static uint32_t room(struct board *b)
{
    uint32_t n;

    pthread_mutex_lock(&b->lock);
    n = b->kind->serial->room(&b->serial);
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
    uint8_t bytes[SERIAL_FIFO_MOST];
    ssize_t n = read(STDIN_FILENO, bytes, room(b));
    const bool again = n < 0 && (errno == EINTR || errno == EAGAIN);

    pthread_mutex_lock(&b->lock);
    b->listens = n > 0 || again;
    for (ssize_t i = 0; i < n; i++)
        b->kind->serial->receive(&b->serial, bytes[i]);
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

static int add_uart(struct machine *m, const struct board_kind *k, hvcore_error *err)
{
    hvcore_mmio_ops ops = HVCORE_MMIO_OPS_INIT;

    ops.read = read_uart;
    ops.write = write_uart;
    if (k->ports)
        return hvcore_vm_pio_add(m->vm, (uint32_t)k->uart, (uint32_t)k->uart_len, &ops, m->board,
                                 NULL, err);
    return hvcore_vm_mmio_add(m->vm, k->uart, k->uart_len, &ops, m->board, NULL, err);
}

static int open_board(struct board *b, struct machine *m)
{
    const struct serial_user user = {on_transmit, on_interrupt, b};

    *b = (struct board){.machine = m,
                        .kind = m->arch->board,
                        .wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                        .lock = PTHREAD_MUTEX_INITIALIZER,
                        .listens = true};
    b->kind->serial->open(&b->serial, &user);
    return b->wake < 0 ? cli_system("no descriptor for the board") : CLI_OK;
}

int board_make(struct machine *m)
{
    hvcore_error err = HVCORE_ERROR_INIT;
    int rc, code;

    if (!m->options->kernel && !m->arch->elf_board)
        return CLI_OK;
    m->board = malloc(sizeof *m->board);
    if (!m->board)
        return cli_system("no memory for the board");
    code = open_board(m->board, m);
    if (code != CLI_OK)
        return code;
    rc = m->arch->board->add(m, &err);
    if (rc == 0)
        rc = add_uart(m, m->arch->board, &err);
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
