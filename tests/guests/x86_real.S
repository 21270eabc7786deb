/* SPDX-License-Identifier: Apache-2.0 */
/* Real mode: says a line, and switches off with what --arg has said. */
#define CONSOLE 0xe9
#define EXIT 0xf4

    .code16
    .section .text.start, "ax"
    .globl _start
_start:
    mov %cs, %ax
    mov %ax, %ds
    mov $0x4000, %sp
    mov $text, %si
    call say
    mov %di, %ax
    outb %al, $EXIT
1:  hlt
    jmp 1b

/* si: text, ended by NUL */
say:
    lodsb
    test %al, %al
    jz 1f
    outb %al, $CONSOLE
    jmp say
1:  ret

text:
    .asciz "hello from real mode\n"
