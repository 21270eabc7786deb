/* SPDX-License-Identifier: Apache-2.0 */
/* The small part of printf that error sentences need, for grounds that have none. */
#include "lib/host/host.h"

typedef struct sink {
    char *out;
    size_t size, at; /* `at` counts what a larger buffer would have held */
} sink;

typedef struct spec {
    bool zero, left;
    unsigned width, longs; /* longs: 0 int, 1 long, 2 long long; size_t is long on LP64 */
} spec;

static void put(sink *s, char c)
{
    if (s->at + 1 < s->size) {
        s->out[s->at] = c;
    }
    s->at++;
}

static void put_padded(sink *s, const spec *sp, const char *text, size_t n)
{
    size_t pad = sp->width > n ? sp->width - n : 0;
    for (size_t i = 0; i < pad && !sp->left; i++) {
        put(s, sp->zero ? '0' : ' ');
    }
    for (size_t i = 0; i < n; i++) {
        put(s, text[i]);
    }
    for (size_t i = 0; i < pad && sp->left; i++) {
        put(s, ' ');
    }
}

static void put_number(sink *s, const spec *sp, uint64_t v, unsigned base, bool minus)
{
    char digits[24];
    size_t at = sizeof(digits);
    do {
        digits[--at] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v);
    if (minus) {
        digits[--at] = '-';
    }
    put_padded(s, sp, digits + at, sizeof(digits) - at);
}

static void put_string(sink *s, const spec *sp, const char *text)
{
    size_t n = 0;
    if (!text) {
        text = "(null)";
    }
    while (text[n]) {
        n++;
    }
    put_padded(s, sp, text, n);
}

static const char *parse_spec(const char *f, spec *sp)
{
    *sp = (spec){0};
    for (;; f++) {
        if (*f == '0') {
            sp->zero = true;
        } else if (*f == '-') {
            sp->left = true;
        } else {
            break;
        }
    }
    while (*f >= '0' && *f <= '9' && sp->width < 1000) {
        sp->width = sp->width * 10 + (unsigned)(*f++ - '0');
    }
    for (; *f == 'l' || *f == 'z'; f++) {
        sp->longs++;
    }
    return f;
}

static int64_t arg_signed(const spec *sp, va_list *ap)
{
    return sp->longs ? va_arg(*ap, long long) : va_arg(*ap, int);
}

static uint64_t arg_unsigned(const spec *sp, va_list *ap)
{
    return sp->longs ? va_arg(*ap, unsigned long long) : va_arg(*ap, unsigned);
}

static void convert(sink *s, char c, const spec *sp, va_list *ap)
{
    int64_t v;
    switch (c) {
    case 's':
        put_string(s, sp, va_arg(*ap, const char *));
        break;
    case 'c':
        put(s, (char)va_arg(*ap, int));
        break;
    case 'd':
        v = arg_signed(sp, ap);
        put_number(s, sp, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10, v < 0);
        break;
    case 'u':
        put_number(s, sp, arg_unsigned(sp, ap), 10, false);
        break;
    case 'x':
        put_number(s, sp, arg_unsigned(sp, ap), 16, false);
        break;
    default:
        put(s, c);
    }
}

int hvc_vformat(char *out, size_t size, const char *fmt, va_list args)
{
    sink s = {out, size, 0};
    spec sp;
    va_list ap;
    va_copy(ap, args);
    for (; *fmt; fmt++) {
        if (*fmt != '%') {
            put(&s, *fmt);
        } else {
            fmt = parse_spec(fmt + 1, &sp);
            if (!*fmt) {
                break;
            }
            convert(&s, *fmt, &sp, &ap);
        }
    }
    va_end(ap);
    if (size) {
        out[s.at < size ? s.at : size - 1] = 0;
    }
    return (int)s.at;
}

int hvc_format(char *out, size_t size, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = hvc_vformat(out, size, fmt, ap);
    va_end(ap);
    return n;
}
