/* SPDX-License-Identifier: Apache-2.0 */
/*
 * M-mode below the streams of lockstep.c, in QEMU: no trap is delegated. It lets a stream run in
 * VS-mode with everything switched on, steps over whatever traps, and ends at ECALL.
 *
 * At 0x80000000; the words at `entry` and `values` are filled in.
 */
#define FINISHER 0x100000
#define PASS 0x5555
#define VSSTATUS 0x200
#define HCOUNTEREN 0x606
#define HENVCFG 0x60a
#define MENVCFG 0x30a
#define HGATP 0x680
#define VSATP 0x280
#define SENVCFG 0x10a

    .option norvc
    .globl _start
_start:
    lla t0, trap
    csrw mtvec, t0
    li t0, -1
    csrw pmpaddr0, t0
    li t0, 0x1f
    csrw pmpcfg0, t0
    csrw medeleg, zero
    csrw mideleg, zero
    csrw HGATP, zero
    csrw VSATP, zero
    li t0, 7
    csrw mcounteren, t0
    csrw HCOUNTEREN, t0
    li t0, 0xd0             /* CBIE = 1, CBCFE, CBZE */
    csrw MENVCFG, t0
    csrw HENVCFG, t0
    csrw SENVCFG, t0
    li t0, 3 << 13          /* FS */
    csrw VSSTATUS, t0
    li t0, 1 << 39 | 1 << 11 | 3 << 13 /* MPV, MPP = S, FS */
    csrw mstatus, t0
    fscsr zero
    ld t0, entry
    csrw mepc, t0
    ld t6, values
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fld f\n, 256 + 8 * \n(t6)
    .endr
    .irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld x\n, 8 * \n(t6)
    .endr
    mret

    .balign 4
trap:
    csrw mscratch, t0
    lla t0, saved
    sd t1, 0(t0)
    csrr t1, mcause
    addi t1, t1, -10        /* ECALL from VS-mode */
    beqz t1, done
    csrr t1, mepc
    lbu t1, 0(t1)
    andi t1, t1, 3
    addi t1, t1, -3
    sd t2, 8(t0)
    csrr t2, mepc
    addi t2, t2, 2
    bnez t1, 1f
    addi t2, t2, 2
1:  csrw mepc, t2
    ld t2, 8(t0)
    ld t1, 0(t0)
    csrr t0, mscratch
    mret

done:
    li t0, FINISHER
    li t1, PASS
    sw t1, 0(t0)
1:  j 1b

    .balign 8
    .globl entry, values
saved:  .dword 0, 0
entry:  .dword 0
values: .dword 0
