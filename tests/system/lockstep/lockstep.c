/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lockstep QEMU MONITOR.bin [INSTRUCTIONS [SEED]]: the software machine and QEMU execute the same
 * random streams, and after every instruction pc, x, f and the CSRs that QEMU shows are compared.
 * QEMU writes its state through a pipe (-d cpu,fpu with one instruction a block).
 *
 * Each class of encodings has a generator (streams.c). The first difference is shown with the
 * instruction, and ends the class. QEMU is version 8.1 or later.
 */
#include "tests/system/lockstep/lockstep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CODE (GUEST + 0x10000)
#define VALUES (GUEST + 0x8000)
#define STREAM_WORDS 150000u /* of a stream, at most; it ends below DATA */

_Static_assert(CODE - GUEST + 4 * (STREAM_WORDS + 64) < LOCKSTEP_DATA - GUEST, "they overlap");

static soft_vm *vm;
static const char *qemu;

/* No extension that this machine has not. */
#define CPU "rv64,h=true,svinval=true,zfa=false,zicond=false,zawrs=false,zbc=false,zfh=false"

/* --- QEMU's side ------------------------------------------------------------------------------ */

typedef struct state {
    uint64_t virt, pc, x[32], f[32];
    uint64_t sepc, scause, stval, stvec, sscratch, satp; /* of VS-mode while V is 1 */
    uint64_t mepc, mcause, mtval;
} state;

static const struct {
    const char *name;
    size_t at;
} shown[] = {
    {"pc", offsetof(state, pc)},         {"sepc", offsetof(state, sepc)},
    {"scause", offsetof(state, scause)}, {"stval", offsetof(state, stval)},
    {"stvec", offsetof(state, stvec)},   {"sscratch", offsetof(state, sscratch)},
    {"satp", offsetof(state, satp)},     {"mepc", offsetof(state, mepc)},
    {"mcause", offsetof(state, mcause)}, {"mtval", offsetof(state, mtval)},
};

static uint64_t *field(state *s, size_t at)
{
    return (uint64_t *)(void *)((char *)s + at);
}

static uint64_t hex(const char *p)
{
    uint64_t v = 0;
    for (; *p; p++) {
        int digit = *p >= '0' && *p <= '9' ? *p - '0' : *p >= 'a' && *p <= 'f' ? *p - 'a' + 10 : -1;
        if (digit < 0)
            break;
        v = v << 4 | (uint64_t)digit;
    }
    return v;
}

/* " x4/tp    0123456789abcdef x5/t0 ...": four registers of a file. */
static void read_registers(uint64_t *file, const char *line)
{
    for (const char *p = line; *p && *p != '\n';) {
        while (*p == ' ')
            p++;
        unsigned long n = strtoul(p + 1, NULL, 10);
        p += strcspn(p, " \n");
        p += strspn(p, " ");
        if (n < 32)
            file[n] = hex(p);
        p += strcspn(p, " \n");
    }
}

/* A line of the state; true if it is the last one. */
static bool read_line(state *s, const char *line)
{
    const char *p = line + strspn(line, " ");
    if (*p == 'V') {
        s->virt = (uint64_t)atoi(p + strcspn(p, "01"));
        return false;
    }
    if (*p == 'x' || (*p == 'f' && p[1] >= '0' && p[1] <= '9')) {
        read_registers(*p == 'x' ? s->x : s->f, p);
        return *p == 'f' && p[1] == '2' && p[2] == '8';
    }
    size_t len = strcspn(p, " ");
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        if (!strncmp(p, shown[i].name, len) && !shown[i].name[len])
            *field(s, shown[i].at) = hex(p + len + strspn(p + len, " "));
    }
    return false;
}

static bool next_state(FILE *log, state *s)
{
    char line[512];
    while (fgets(line, sizeof line, log)) {
        if (read_line(s, line))
            return true;
    }
    return false;
}

/*
 * The next state in the stream. Traps on the way leave their first state in M-mode in *trap, whose
 * mcause is UINT64_MAX if there was none.
 */
static bool next_virtual(FILE *log, state *s, state *trap)
{
    trap->mcause = UINT64_MAX;
    for (;;) {
        if (!next_state(log, s))
            return false;
        if (s->virt)
            return true;
        if (trap->mcause == UINT64_MAX)
            *trap = *s;
    }
}

static FILE *start(const char *image, const char *fifo, pid_t *pid)
{
    *pid = fork();
    if (!*pid) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(null, 1);
        execlp(qemu, qemu, "-M", "virt", "-cpu", CPU, "-accel", "tcg,one-insn-per-tb=on",
               "-display", "none", "-serial", "none", "-monitor", "none", "-bios", image, "-d",
               "cpu,fpu,nochain", "-D", fifo, (char *)NULL);
        _exit(127);
    }
    return *pid > 0 ? fopen(fifo, "r") : NULL;
}

/* --- this side -------------------------------------------------------------------------------- */

static uint64_t *memory64(uint64_t at)
{
    return soft_ptr(vm, at);
}

static void load_registers(void)
{
    memcpy(vm->frame.x, memory64(VALUES), sizeof vm->frame.x);
    memcpy(vm->pe->fp->f, memory64(VALUES + 256), sizeof vm->pe->fp->f);
    vm->frame.x[0] = 0;
    hvc_soft_set_fcsr(hvc_soft_pe(vm->pe), 0);
    soft_mode(vm, VS, CODE);
    vm->frame.sstatus |= HVC_SSTATUS_FS;
    hvc_port_set(vm->pe, vsstatus, HVC_SSTATUS_FS);
    hvc_port_set(vm->pe, henvcfg, 0xd0);
    hvc_port_set(vm->pe, senvcfg, 0xd0);
    hvc_port_set(vm->pe, hcounteren, 7);
    hvc_port_set(vm->pe, vsepc, 0);
    hvc_port_set(vm->pe, vscause, 0);
    hvc_port_set(vm->pe, vsscratch, 0);
    hvc_port_set(vm->pe, vstval, 0);
}

static int differ(const char *what, unsigned n, uint64_t mine, uint64_t theirs, uint64_t pc)
{
    uint32_t word;
    memcpy(&word, soft_ptr(vm, pc), sizeof word);
    fprintf(stderr, "%s%u: %#llx here, %#llx in QEMU, after %#010x at %#llx\n", what, n,
            (unsigned long long)mine, (unsigned long long)theirs, word, (unsigned long long)pc);
    return 1;
}

static int compare_csrs(const state *s, uint64_t before)
{
    const struct {
        const char *name;
        uint64_t mine, theirs;
    } pairs[] = {
        {"sepc", hvc_port_get(vm->pe, vsepc),
         s->sepc & ~UINT64_C(1)}, /* it shows what was written */
        {"scause", hvc_port_get(vm->pe, vscause), s->scause},
        {"stval", hvc_port_get(vm->pe, vstval), s->stval},
        {"stvec", hvc_port_get(vm->pe, vstvec), s->stvec},
        {"sscratch", hvc_port_get(vm->pe, vsscratch), s->sscratch},
        {"satp", hvc_port_get(vm->pe, vsatp), s->satp},
    };
    int bad = 0;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (pairs[i].mine != pairs[i].theirs)
            bad += differ(pairs[i].name, 0, pairs[i].mine, pairs[i].theirs, before);
    }
    return bad;
}

static int compare(const state *s, uint64_t before)
{
    int bad = 0;
    if (vm->frame.pc != s->pc)
        bad += differ("pc", 0, vm->frame.pc, s->pc, before);
    for (unsigned i = 0; i < 32; i++) {
        if (vm->frame.x[i] != s->x[i])
            bad += differ("x", i, vm->frame.x[i], s->x[i], before);
        if (vm->pe->fp->f[i] != s->f[i])
            bad += differ("f", i, vm->pe->fp->f[i], s->f[i], before);
    }
    return bad + compare_csrs(s, before);
}

/* One instruction; what traps is stepped over, as the monitor does. Returns the cause or -1. */
static int step(void)
{
    uint64_t pc = vm->frame.pc;
    if (hvc_port_enter(vm->pe, &vm->frame, &vm->raw) != HVC_STOP_TRAP)
        return -1;
    vm->frame.pc = pc + ((*(uint8_t *)soft_ptr(vm, pc) & 3) == 3 ? 4 : 2);
    return (int)vm->raw.scause;
}

/* QEMU gives a misaligned AMO or SC as a load's (specs 9.3). */
static bool same_cause(uint64_t mine, uint64_t theirs, uint64_t pc)
{
    bool amo = (*(uint8_t *)soft_ptr(vm, pc) & 0x7f) == HVC_OPCODE_AMO;
    return mine == theirs || (amo && mine == HVCORE_RISCV64_STORE_MISALIGNED &&
                              theirs == HVCORE_RISCV64_LOAD_MISALIGNED);
}

static int compare_trap(int cause, const state *trap, uint64_t pc)
{
    uint64_t mine = cause < 0 ? UINT64_MAX : (uint64_t)cause;
    if (!same_cause(mine, trap->mcause, pc))
        return differ("cause", 0, mine, trap->mcause, pc);
    if (cause >= 0 && trap->mepc != pc)
        return differ("epc", 0, pc, trap->mepc, pc);
    if (cause >= 0 && vm->raw.stval != trap->mtval)
        return differ("stval", 0, vm->raw.stval, trap->mtval, pc);
    return 0;
}

/* Returns how many instructions agreed, or -1. */
static long follow(FILE *log, uint64_t end)
{
    state s = {0}, trap = {0};
    uint64_t pc = CODE;
    load_registers();
    if (!next_virtual(log, &s, &trap) || compare(&s, CODE))
        return -1;
    for (long n = 0;; n++) {
        pc = vm->frame.pc;
        if (pc >= end)
            return n;
        hvc_port_budget(vm->pe, 1);
        int cause = step();
        if (!next_virtual(log, &s, &trap))
            return differ("QEMU's pc", 0, pc, s.pc, pc), -1;
        if (compare_trap(cause, &trap, pc) || compare(&s, pc))
            return -1;
    }
}

/* --- a run ------------------------------------------------------------------------------------ */

static void image(const char *monitor, const char *path, uint64_t entry)
{
    uint8_t *low = soft_ptr(vm, GUEST);
    FILE *f = fopen(monitor, "rb");
    size_t n = f ? fread(low, 1, 0x8000, f) : 0;
    if (!n) {
        fprintf(stderr, "lockstep: %s: %s\n", monitor, strerror(errno));
        exit(2);
    }
    fclose(f);
    uint64_t *tail = (uint64_t *)(void *)(low + (n & ~(size_t)7)) - 2;
    tail[0] = entry;
    tail[1] = VALUES;
    f = fopen(path, "wb");
    if (!f || fwrite(low, 1, LOCKSTEP_DATA + LOCKSTEP_DATA_SIZE - GUEST, f) == 0 || fclose(f)) {
        fprintf(stderr, "lockstep: %s: %s\n", path, strerror(errno));
        exit(2);
    }
}

static long run_stream(const lockstep_class *c, const char *monitor, const char *dir, uint64_t seed,
                       uint32_t words)
{
    char path[256], fifo[256];
    uint64_t random = seed;
    pid_t pid;
    snprintf(path, sizeof path, "%s/image", dir);
    snprintf(fifo, sizeof fifo, "%s/log", dir);
    for (uint64_t at = 0; at < 512; at += 8)
        *memory64(VALUES + at) = hvc_random(&random);
    for (uint64_t at = 0; at < LOCKSTEP_DATA_SIZE; at += 8)
        *memory64(LOCKSTEP_DATA + at) = hvc_random(&random);
    memory64(VALUES)[LOCKSTEP_BASE] = LOCKSTEP_DATA + LOCKSTEP_DATA_SIZE / 2;
    uint8_t *code = soft_ptr(vm, CODE), *end = lockstep_generate(c, code, words, &random);
    image(monitor, path, CODE);
    unlink(fifo);
    if (mkfifo(fifo, 0600))
        return -1;
    FILE *log = start(path, fifo, &pid);
    hvc_code_fence(&hvc_soft_pe(vm->pe)->code);
    long n = log ? follow(log, CODE + (uint64_t)(end - code)) : -1;
    if (log) {
        char rest[4096];
        while (fread(rest, 1, sizeof rest, log) && n >= 0) {
        }
        fclose(log);
    }
    if (n < 0)
        kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return n;
}

int main(int argc, char **argv)
{
    long all = argc > 3 ? atol(argv[3]) : 100000, failed = 0, passed = 0;
    uint64_t seed = argc > 4 ? strtoull(argv[4], NULL, 0) : 1;
    char dir[] = "/tmp/hvcore-lockstep-XXXXXX";
    hvcore_riscv64_fp fp = {0};
    if (argc < 3 || !mkdtemp(dir)) {
        fprintf(stderr, "usage: lockstep QEMU MONITOR.bin [INSTRUCTIONS [SEED]]\n");
        return 2;
    }
    qemu = argv[1];
    vm = soft_vm_new_isa(0);
    soft_map_ram(vm);
    hvc_port_fp_load(vm->pe, &fp);
    for (const lockstep_class *c = lockstep_classes; c->name; c++) {
        long words = all / (long)lockstep_class_count(), done = 0, n = 0;
        while (done < words && n >= 0) {
            long left = words - done;
            n = run_stream(c, argv[2], dir, seed++,
                           left < (long)STREAM_WORDS ? (uint32_t)left : STREAM_WORDS);
            done += n > 0 ? n : 1;
        }
        printf("%-12s %8ld instructions %s\n", c->name, done, n < 0 ? "DIFFER" : "agree");
        fflush(stdout);
        *(n < 0 ? &failed : &passed) += 1;
    }
    char command[300];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    if (system(command))
        return 2;
    soft_vm_free(vm);
    printf("%ld passed, %ld failed, 0 skipped\n", passed, failed);
    return failed != 0;
}
