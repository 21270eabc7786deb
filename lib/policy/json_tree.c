/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of a text that the scanner has accepted, as json-c's objects. Nothing can be wrong with
 * the text any more; what can fail is memory, and every call that needs some says so.
 */
#include "lib/host/host.h"
#include "lib/policy/json_read.h"

typedef struct builder {
    hvc_json_cursor c;
    char *string; /* the last one decoded; as large as the text */
} builder;

/* --- strings ---------------------------------------------------------------------------------- */

/* The UTF-8 of a code point; decoding never makes a string longer than it is written. */
static size_t encode(uint32_t cp, char *out)
{
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    size_t more = cp < 0x80 ? 0 : cp < 0x800 ? 1 : cp < 0x10000 ? 2 : 3;
    for (size_t i = more; i; i--) {
        out[i] = (char)(0x80 | (cp & 0x3f));
        cp >>= 6;
    }
    out[0] = (char)(lead[more] | cp);
    return more + 1;
}

/* Decode the string that begins here; returns its length. */
static size_t decode(builder *b, hvc_json_cursor *c)
{
    size_t n = 0;
    uint32_t cp = 0;
    c->at++;
    while (hvc_json_peek(c) != '"') {
        hvc_json_character(c, &cp);
        n += encode(cp, b->string + n);
    }
    c->at++;
    b->string[n] = 0;
    return n;
}

/* --- values ----------------------------------------------------------------------------------- */

/* A value is NULL if it is JSON's null, which is why these answer whether there was memory. */
static bool build(builder *b, json_object **value);

static bool build_string(builder *b, json_object **value)
{
    size_t n = decode(b, &b->c);
    *value = json_object_new_string_len(b->string, (int)n);
    return *value;
}

static bool is_digit(int b)
{
    return b >= '0' && b <= '9';
}

/* What does not fit saturates; nobody asks for numbers as large as that. */
static int64_t read_integer(hvc_json_cursor *c)
{
    int64_t value = 0;
    bool minus = hvc_json_peek(c) == '-';
    for (c->at += minus; is_digit(hvc_json_peek(c)); c->at++) {
        value = value > INT64_MAX / 10 - 1 ? INT64_MAX / 10 : value * 10 + hvc_json_peek(c) - '0';
    }
    return minus ? -value : value;
}

static bool is_of_fraction(int b)
{
    return is_digit(b) || b == '.' || b == 'e' || b == 'E' || b == '+' || b == '-';
}

/* No language of ours has fractions: of such a number only the type is kept. */
static bool build_number(builder *b, json_object **value)
{
    int64_t integer = read_integer(&b->c);
    bool whole = !is_of_fraction(hvc_json_peek(&b->c));
    while (is_of_fraction(hvc_json_peek(&b->c))) {
        b->c.at++;
    }
    *value = whole ? json_object_new_int64(integer) : json_object_new_double(0);
    return *value;
}

static bool build_literal(builder *b, json_object **value)
{
    int first = hvc_json_peek(&b->c);
    b->c.at += first == 'f' ? 5 : 4;
    *value = first == 'n' ? NULL : json_object_new_boolean(first == 't');
    return *value || first == 'n';
}

static bool add_element(builder *b, json_object *array)
{
    json_object *value;
    if (!build(b, &value)) {
        return false;
    }
    if (json_object_array_add(array, value)) {
        json_object_put(value);
        return false;
    }
    return true;
}

/* The name is decoded when its value is there: both use the same buffer. */
static bool add_member(builder *b, json_object *object)
{
    hvc_json_cursor key = b->c;
    json_object *value;
    decode(b, &b->c);
    hvc_json_skip_space(&b->c);
    b->c.at++;
    hvc_json_skip_space(&b->c);
    if (!build(b, &value)) {
        return false;
    }
    decode(b, &key);
    if (json_object_object_add(object, b->string, value)) {
        json_object_put(value);
        return false;
    }
    return true;
}

static bool build_container(builder *b, bool object, json_object **value)
{
    int end = object ? '}' : ']';
    json_object *made = object ? json_object_new_object() : json_object_new_array();
    bool fine = made;
    b->c.at++;
    hvc_json_skip_space(&b->c);
    while (fine && hvc_json_peek(&b->c) != end) {
        fine = object ? add_member(b, made) : add_element(b, made);
        hvc_json_skip_space(&b->c);
        b->c.at += hvc_json_peek(&b->c) == ',';
        hvc_json_skip_space(&b->c);
    }
    if (!fine) {
        json_object_put(made);
        return false;
    }
    b->c.at++;
    *value = made;
    return true;
}

/* The scanner has bounded the depth. */
static bool build(builder *b, json_object **value)
{
    int first = hvc_json_peek(&b->c);
    if (first == '{' || first == '[') {
        return build_container(b, first == '{', value);
    }
    if (first == '"') {
        return build_string(b, value);
    }
    return first >= 'a' ? build_literal(b, value) : build_number(b, value);
}

bool hvc_json_build(const char *text, size_t len, json_object **top)
{
    builder b = {{(const unsigned char *)text, len, 0}, hvc_host_alloc(len)};
    if (!b.string) {
        return false;
    }
    hvc_json_skip_space(&b.c);
    bool fine = build(&b, top);
    hvc_host_free(b.string);
    return fine;
}
