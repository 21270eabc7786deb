/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON text, strictly as RFC 8259 has it, and where things stand in it.
 *
 * json-c's own reader is not used: even when told to be strict it is lenient, and differently so in
 * each version; it forgets places, keeps the last of two equal keys, and in version 0.16 (Debian
 * 12) drops values, cuts strings or crashes when memory is short (json-c pull request 759). Its
 * objects are our tree all the same (json_tree.c).
 */
#ifndef HVC_JSON_WHERE_H
#define HVC_JSON_WHERE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bounds of a document; the deepest one of the language has depth 4 and 12 members. */
enum { HVC_JSON_BYTES = 65536, HVC_JSON_DEPTH = 8, HVC_JSON_MEMBERS = 32 };

typedef struct hvc_json_place {
    uint32_t line, column; /* 1-based; columns are bytes */
    char pointer[96];      /* RFC 6901, what does not print replaced */
} hvc_json_place;

/* Ordinals of members and elements from the top; the tree has them in the order of the text. */
typedef struct hvc_json_path {
    uint32_t depth;
    uint32_t at[HVC_JSON_DEPTH];
    bool key; /* the name of the last member, not its value */
} hvc_json_path;

typedef struct hvc_json_check {
    int code;            /* HVCORE_E_PARSE, HVCORE_E_LIMIT, or 0 */
    const char *problem; /* a clause without full stop */
    hvc_json_place place;
} hvc_json_check;

/* A place in a text that is being read. */
typedef struct hvc_json_cursor {
    const unsigned char *text;
    size_t len, at;
} hvc_json_cursor;

/* The next byte, or -1 at the end. */
static inline int hvc_json_peek(const hvc_json_cursor *c)
{
    return c->at < c->len ? c->text[c->at] : -1;
}

void hvc_json_skip_space(hvc_json_cursor *c);

/* Read a character inside a string; a problem if there is none, and then `at` is where. */
const char *hvc_json_character(hvc_json_cursor *c, uint32_t *code_point);

/* Is the text one JSON object within the bounds? The answer is in check->code. */
void hvc_json_check_text(const char *text, size_t len, hvc_json_check *check);

/* Where `path` leads in a text that has passed the check. */
void hvc_json_where(const char *text, size_t len, const hvc_json_path *path, hvc_json_place *place);

#endif
