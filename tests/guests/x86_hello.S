/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long mode: says a line on the UART and one by a string instruction, and switches off with what
 * --arg has said. Processor 0 does; the others wait for ever.
 */
#define UART 0x3f8
#define LSR (UART + 5)
#define LSR_EMPTY 0x20
#define CONSOLE 0xe9
#define EXIT 0xf4

    .section .text.start, "ax"
    .globl _start
_start:
    test %esi, %esi
    jnz park
    mov %rdi, %rbx
    lea uart_text(%rip), %rsi
    call say
    lea port_text(%rip), %rsi
    mov $(port_text_end - port_text), %ecx
    mov $CONSOLE, %edx
    rep outsb
    mov %ebx, %eax
    outb %al, $EXIT
park:
    hlt
    jmp park

/* rsi: text, ended by NUL */
say:
    mov $LSR, %edx
1:  in %dx, %al
    test $LSR_EMPTY, %al
    jz 1b
    lodsb
    test %al, %al
    jz 2f
    mov $UART, %edx
    outb %al, %dx
    jmp say
2:  ret

    .section .rodata
uart_text:
    .asciz "hello from long mode\n"
port_text:
    .ascii "and from a port\n"
port_text_end:
