/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel in VS-mode whose user code, in VU-mode, makes one mistake after the other:
 *
 *   2   an instruction that does not exist
 *   3   a breakpoint
 *   4   a misaligned load (machines that can do it do it: no trap then)
 *   12  a fetch from an address that is not mapped
 *   1   a fetch from a page with nothing behind it
 *
 * The kernel notes each trap, skips the culprit, and user code measures with instret how many
 * instructions passed until it ran on (hypervisor and firmware included, where the machine counts them).
 * It repeats this as often as a1 says, prints a line each, and switches off:
 *
 *   mistake CAUSE COUNT INSTRUCTIONS ALIVE
 *
 * COUNT: traps that the kernel saw; INSTRUCTIONS: the fewest of all rounds, 0 if there is no counter;
 * ALIVE: yes if user code ran on every time. a1 = 0: for ever, with a pause after each round and a line
 * every 100 rounds. a1 above 2^20 is a firmware's address: 10 rounds.
 *
 * The memory of a user page is the scoreboard: 5 x {tried, survived, fewest instructions, -}.
 */
#include "guest.inc"

#define MISTAKES 5
#define ROUNDS_DEFAULT 10
#define ROUNDS_MOST 0x100000
#define PAUSE 200000

#define USER_CODE 0x40000000
#define USER_DATA 0x40001000
#define USER_HOLE 0x40002000
#define USER_NOWHERE 0x50000000

#define SCORE_SIZE 32
#define SCORE_TRIED 0
#define SCORE_SURVIVED 8
#define SCORE_FEWEST 16
#define EMPTY_STAMP 0x400   /* what two stamps alone cost */
#define ODD_BYTES 0x800

    guest_begin
    li t0, ROUNDS_MOST
    bleu s11, t0, 1f
    li s11, ROUNDS_DEFAULT
1:  sd s11, rounds_wanted, t0

    call probe_counter
    call make_tables
    la t0, trap
    csrw stvec, t0
    j next_round

/* s1 = 1 if instret can be read here; user code is allowed to as well */
probe_counter:
    la t0, 1f
    csrw stvec, t0
    li s1, 0
    li t0, 7
    csrw scounteren, t0
    csrr t0, instret
    li s1, 1
    .balign 4
1:  ret

/* The kernel keeps its addresses (one gigapage from 0x80000000 on); user pages at USER_CODE. */
make_tables:
    la t0, root
    la t1, level1
    la t2, level0
    li t3, (0x80000000 >> 2) | PTE_AD | PTE_X | PTE_W | PTE_R | PTE_V
    sd t3, 2 * 8(t0)
    srli t3, t1, 2
    ori t3, t3, PTE_V
    sd t3, 1 * 8(t0)
    srli t3, t2, 2
    ori t3, t3, PTE_V
    sd t3, 0(t1)
    la t3, user_code
    srli t3, t3, 2
    ori t3, t3, PTE_AD | PTE_U | PTE_X | PTE_R | PTE_V
    sd t3, 0(t2)
    la t3, user_data
    srli t3, t3, 2
    ori t3, t3, PTE_AD | PTE_U | PTE_W | PTE_R | PTE_V
    sd t3, 8(t2)
    li t3, (NOTHING >> 2) | PTE_AD | PTE_U | PTE_X | PTE_R | PTE_V
    sd t3, 16(t2)
    srli t0, t0, 12
    li t1, SATP_SV39 << 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
    ret

/* To user code, from its beginning. */
next_round:
    la t0, save
    csrw sscratch, t0
    li t0, USER_CODE
    csrw sepc, t0
    li t0, SSTATUS_SPP
    csrc sstatus, t0
    li s0, USER_DATA
    sret

/* --- a trap: note it, skip the culprit --------------------------------------------------------- */

    .balign 4
trap:
    csrrw sp, sscratch, sp
    sd t0, 0(sp)
    sd t1, 8(sp)
    sd t2, 16(sp)
    csrr t0, sstatus
    andi t0, t0, SSTATUS_SPP
    bnez t0, kernel_mistake
    csrr t0, scause
    li t1, 64
    bgeu t0, t1, kernel_mistake     /* an interrupt: none is enabled */
    slli t1, t0, 5
    la t2, ledger                   /* {count, sepc, stval, instret} of each cause */
    add t2, t2, t1
    ld t1, 0(t2)
    addi t1, t1, 1
    sd t1, 0(t2)
    csrr t1, stval
    sd t1, 16(t2)
    beqz s1, 1f
    csrr t1, instret
    sd t1, 24(t2)
1:  csrr t1, sepc
    sd t1, 8(t2)
    li t2, CAUSE_ECALL_U
    beq t0, t2, round_over
    addi t1, t1, 4                  /* behind the culprit */
    li t2, CAUSE_INSN_PAGE
    beq t0, t2, 2f
    li t2, CAUSE_INSN_ACCESS
    bne t0, t2, 3f
2:  mv t1, ra                       /* a lost fetch: back to the caller */
3:  csrw sepc, t1
    ld t0, 0(sp)
    ld t1, 8(sp)
    ld t2, 16(sp)
    csrrw sp, sscratch, sp
    sret

/* --- after a round ----------------------------------------------------------------------------- */

round_over:
    csrrw sp, sscratch, sp
    la sp, guest_stack_end
    ld s2, rounds_done
    addi s2, s2, 1
    sd s2, rounds_done, t0
    ld s3, rounds_wanted
    beqz s3, endless
    bltu s2, s3, next_round
    call print_scores
    j finish

endless:
    li t0, PAUSE
1:  addi t0, t0, -1
    bnez t0, 1b
    li t0, 100
    remu t0, s2, t0
    bnez t0, next_round
    la a0, text_round
    call guest_puts
    mv a0, s2
    call guest_decimal
    la a0, text_alive
    call guest_puts
    j next_round

/* Success if user code survived all it tried. */
finish:
    li a0, 0
    la t0, user_data
    li t1, MISTAKES
1:  ld t2, SCORE_TRIED(t0)
    ld t3, SCORE_SURVIVED(t0)
    beq t2, t3, 2f
    li a0, 1
2:  addi t0, t0, SCORE_SIZE
    addi t1, t1, -1
    bnez t1, 1b
    call guest_exit

print_scores:
    addi sp, sp, -32
    sd ra, 0(sp)
    sd s4, 8(sp)
    sd s5, 16(sp)
    la s4, user_data                /* the kernel's own address of the page */
    la s5, causes
1:  call print_score
    addi s4, s4, SCORE_SIZE
    addi s5, s5, 1
    la t0, causes_end
    bltu s5, t0, 1b
    ld s5, 16(sp)
    ld s4, 8(sp)
    ld ra, 0(sp)
    addi sp, sp, 32
    ret

/* s4: the score, s5: where its cause is */
print_score:
    addi sp, sp, -16
    sd ra, 0(sp)
    la a0, text_mistake
    call guest_puts
    lbu a0, 0(s5)
    call guest_decimal
    call guest_space
    lbu t0, 0(s5)
    slli t0, t0, 5
    la t1, ledger
    add t1, t1, t0
    ld a0, 0(t1)
    call guest_decimal
    call guest_space
    ld a0, SCORE_FEWEST(s4)
    la t0, user_data
    li t1, EMPTY_STAMP
    add t0, t0, t1
    ld t0, 0(t0)
    sub a0, a0, t0
    call guest_decimal
    ld t0, SCORE_TRIED(s4)
    ld t1, SCORE_SURVIVED(s4)
    la a0, text_yes
    beq t0, t1, 1f
    la a0, text_no
1:  call guest_puts
    ld ra, 0(sp)
    addi sp, sp, 16
    ret

/* A trap of the kernel itself, or one that cannot be: it gives up. */
kernel_mistake:
    la sp, guest_stack_end
    la a0, text_kernel
    call guest_puts
    csrr a0, scause
    call guest_decimal
    call guest_newline
    li a0, 1
    call guest_exit

/* --- user code: s0 is the scoreboard, s1 = 1 if it may count ----------------------------------- */

.macro stamp reg
    li \reg, 0
    beqz s1, 9f
    csrr \reg, instret
9:
.endm

.macro try index
    ld t0, (\index * SCORE_SIZE + SCORE_TRIED)(s0)
    addi t0, t0, 1
    sd t0, (\index * SCORE_SIZE + SCORE_TRIED)(s0)
    stamp s2
.endm

.macro ran_on
    stamp s3
    sub s3, s3, s2
.endm

/* Keeps the fewest instructions of all rounds; 0 there means: none yet. */
.macro survived index
    ld t0, (\index * SCORE_SIZE + SCORE_SURVIVED)(s0)
    addi t0, t0, 1
    sd t0, (\index * SCORE_SIZE + SCORE_SURVIVED)(s0)
    ld t0, (\index * SCORE_SIZE + SCORE_FEWEST)(s0)
    beqz t0, 8f
    bgeu s3, t0, 7f
8:  sd s3, (\index * SCORE_SIZE + SCORE_FEWEST)(s0)
7:
.endm

    .section .user.text, "ax"
user_code:
    stamp s2
    ran_on
    li t0, EMPTY_STAMP
    add t0, t0, s0
    sd s3, 0(t0)

    try 0
    .word 0x0000000b                /* custom-0: no such instruction */
    ran_on
    survived 0

    try 1
    ebreak
    ran_on
    survived 1

    li t1, ODD_BYTES
    add t1, t1, s0
    li s4, 0                        /* what is left if the load is skipped */
    try 2
    lw s4, 1(t1)
    ran_on
    beqz s4, 1f
    li t2, 0x55443322               /* what must be there if it is done */
    bne s4, t2, 2f
1:  survived 2
2:

    li t1, USER_NOWHERE
    try 3
    jalr ra, t1
    ran_on
    survived 3

    li t1, USER_HOLE
    try 4
    jalr ra, t1
    ran_on
    survived 4

    ecall
1:  j 1b                            /* the kernel starts the next round from the beginning */

    .section .user.data, "aw"
    .balign 4096
user_data:
    .skip ODD_BYTES
    .quad 0x8877665544332211
    .balign 4096

    .section .rodata
causes: /* in the order of the mistakes */
    .byte CAUSE_ILLEGAL, CAUSE_BREAKPOINT, CAUSE_LOAD_MISALIGNED, CAUSE_INSN_PAGE, CAUSE_INSN_ACCESS
causes_end:
text_mistake:
    .asciz "mistake "
text_yes:
    .asciz " yes\n"
text_no:
    .asciz " no\n"
text_round:
    .asciz "round "
text_alive:
    .asciz ", alive\n"
text_kernel:
    .asciz "the kernel itself traps, cause "

    .bss
    .balign 4096
root:
    .skip 4096
level1:
    .skip 4096
level0:
    .skip 4096
ledger:
    .skip 64 * 32
save:
    .skip 64
rounds_wanted:
    .skip 8
rounds_done:
    .skip 8

    guest_library
