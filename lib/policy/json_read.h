/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a JSON document by tables: each object of a language is a table of members, whatever is
 * in no table is an error with its place. Hosted.
 */
#ifndef HVC_JSON_READ_H
#define HVC_JSON_READ_H

#include <json-c/json.h>

#include <hvcore/error.h>

#include "lib/policy/json_where.h"

typedef struct hvc_json {
    const char *text;
    size_t len;
    hvc_json_path path; /* of what is being read */
    hvcore_error *err;
} hvc_json;

/* Kinds of values, as sets of json-c's types. */
enum hvc_json_kind {
    HVC_JSON_STRING = 1 << json_type_string,
    HVC_JSON_BOOL = 1 << json_type_boolean,
    HVC_JSON_INT = 1 << json_type_int,
    HVC_JSON_ARRAY = 1 << json_type_array,
    HVC_JSON_OBJECT = 1 << json_type_object,
    HVC_JSON_NULL = 1 << json_type_null
};

/* A word of the language and what it means. */
typedef struct hvc_json_word {
    const char *text;
    uint32_t means;
} hvc_json_word;

/*
 * A member of an object. What it says goes to the uint32_t at `offset` of what hvc_json_members()
 * gets as `out`, or, if the row has a function, to that. A row with neither is checked and dropped.
 */
typedef struct hvc_json_member {
    const char *key;
    int kind; /* set of HVC_JSON_* */
    bool required;
    int (*read)(hvc_json *r, json_object *value, void *out);
    const hvc_json_word *words;
    size_t count; /* of words */
    uint32_t max; /* of an integer */
    size_t offset;
} hvc_json_member;

#define HVC_JSON_WORDS(key, required, list, type, field)                                 \
    {                                                                                    \
        key, HVC_JSON_STRING, required, NULL, list, sizeof(list) / sizeof((list)[0]), 0, \
            offsetof(type, field)                                                        \
    }
#define HVC_JSON_NUMBER(key, max, type, field)                              \
    {                                                                       \
        key, HVC_JSON_INT, false, NULL, NULL, 0, max, offsetof(type, field) \
    }
#define HVC_JSON_FLAG(key, type, field)                                    \
    {                                                                      \
        key, HVC_JSON_BOOL, false, NULL, NULL, 0, 1, offsetof(type, field) \
    }
#define HVC_JSON_READ(key, kind, required, read) \
    {                                            \
        key, kind, required, read, NULL, 0, 0, 0 \
    }

/* Build the tree of a text that has passed hvc_json_check_text(); false: there is no memory. */
bool hvc_json_build(const char *text, size_t len, json_object **top);

/* Check the text and build its tree; the caller puts *top. */
int hvc_json_open(hvc_json *r, json_object **top);

/* Read all members; at most 32 rows. */
int hvc_json_members(hvc_json *r, json_object *object, const hvc_json_member *rows, size_t n,
                     void *out);

bool hvc_json_is(const json_object *value, int kind);
/* Refuse what stands at the path unless it is of this kind. */
int hvc_json_expect(const hvc_json *r, const json_object *value, int kind);
int hvc_json_read_word(const hvc_json *r, json_object *value, const hvc_json_word *words, size_t n,
                       uint32_t *out);
/* An integer from 0 to max. */
int hvc_json_read_number(const hvc_json *r, json_object *value, uint32_t max, uint32_t *out);

/* Refuse what stands at the path; `problem` is a clause without full stop. */
int hvc_json_refuse(const hvc_json *r, int code, const char *problem);

/* A piece of the document fit for a message: short, one line, no quotes of its own. */
const char *hvc_json_shown(char *out, size_t size, const char *text);

#endif
