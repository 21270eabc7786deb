/* SPDX-License-Identifier: Apache-2.0 */
/* Says at which exception level it runs, by the UART, and switches off by PSCI: by HVC at EL1, by
 * SMC at EL2. Processor 0 does; the others wait for ever. */
#define UART 0x09000000
#define SYSTEM_OFF 0x84000008

    .section .text.start, "ax"
    .globl _start
_start:
    cbnz x0, park
    mrs x4, CurrentEL
    lsr x4, x4, #2
    adr x2, text
    mov x3, #UART
1:  ldrb w0, [x2], #1
    cbz w0, 2f
    str w0, [x3]
    b 1b
2:  add w0, w4, #'0'
    str w0, [x3]
    mov w0, #'\n'
    str w0, [x3]
    ldr w0, off
    cmp x4, #2
    b.eq 3f
    hvc #0
3:  smc #0
park:
    wfi
    b park

off:
    .word SYSTEM_OFF
text:
    .asciz "hello from EL"
