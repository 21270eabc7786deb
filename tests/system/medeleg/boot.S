/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry of the image in M-mode, the way into a guest and back, and the snippets. The handlers of HS-mode
 * and VS-mode only hand on by ECALL: what their trap entries wrote into CSRs stays for M-mode to read.
 */
#define STACK 32768

    .section .text.start, "ax"
    .globl _start
_start:
    csrr t0, mhartid
    bnez t0, 3f
    la t0, image_bss
    la t1, image_bss_end
1:  bgeu t0, t1, 2f
    sd zero, (t0)
    addi t0, t0, 8
    j 1b
2:  la sp, stack + STACK
    la t0, stray
    csrw mtvec, t0
    call image_main
3:  wfi
    j 3b

    .balign 4
stray:
    csrr a0, mcause
    csrr a1, mepc
    csrr a2, mtval
    la sp, stack + STACK
    call image_stray
    j 3b

/* run_guest(pc, a0, a1): MRET; returns when something has trapped into M-mode. */
    .globl run_guest
run_guest:
    la t0, saved
    sd ra, 0(t0)
    sd sp, 8(t0)
    sd gp, 16(t0)
    sd tp, 24(t0)
    sd s0, 32(t0)
    sd s1, 40(t0)
    sd s2, 48(t0)
    sd s3, 56(t0)
    sd s4, 64(t0)
    sd s5, 72(t0)
    sd s6, 80(t0)
    sd s7, 88(t0)
    sd s8, 96(t0)
    sd s9, 104(t0)
    sd s10, 112(t0)
    sd s11, 120(t0)
    la t0, m_trap
    csrw mtvec, t0
    csrw mepc, a0
    mv a0, a1
    mv a1, a2
    mret

    .balign 4
m_trap:
    la t0, stray
    csrw mtvec, t0
    la t0, saved
    ld ra, 0(t0)
    ld sp, 8(t0)
    ld gp, 16(t0)
    ld tp, 24(t0)
    ld s0, 32(t0)
    ld s1, 40(t0)
    ld s2, 48(t0)
    ld s3, 56(t0)
    ld s4, 64(t0)
    ld s5, 72(t0)
    ld s6, 80(t0)
    ld s7, 88(t0)
    ld s8, 96(t0)
    ld s9, 104(t0)
    ld s10, 112(t0)
    ld s11, 120(t0)
    ret

    .balign 64
    .globl hs_trap
hs_trap:
    ecall

    .balign 64
    .globl vs_trap
vs_trap:
    ecall

/* What a snippet comes to that does not trap. */
    .balign 4
    .globl no_trap
no_trap:
    ecall

/* Snippets: a0 is an address with nothing behind it, a1 an odd one in memory. */
    .macro snippet name
    .balign 4
    .globl do_\name
do_\name:
    .endm

    .macro end
    j no_trap
    .endm

    snippet nop
    nop
    end
    snippet illegal32
    .word 0xffffffff
    end
    snippet illegal16
    .half 0, 0
    end
    snippet csr_m
    csrr t0, 0x340 /* mscratch */
    end
    snippet csr_h
    csrr t0, 0x600 /* hstatus */
    end
    snippet csr_s
    csrr t0, 0x140 /* sscratch */
    end
    snippet hlv
    .insn r 0x73, 4, 0x36, t0, a1, x0 /* hlv.d */
    end
    snippet wfi
    wfi
    end
    snippet ebreak
    ebreak
    end
    snippet ecall
    ecall
    end
    snippet fetch
    jr a0
    snippet load
    ld t0, 8(a0)
    end
    snippet store
    sd t0, 16(a0)
    end
    snippet amo
    amoadd.d t0, t1, (a0)
    end
    snippet lr
    lr.d t0, (a0)
    end
    snippet amo_odd
    amoadd.w t0, t1, (a1)
    end
    snippet lr_odd
    lr.w t0, (a1)
    end

    .section .bss
    .balign 16
stack:
    .space STACK
saved:
    .space 128

    .section .note.GNU-stack, "", @progbits
