/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the tree of a document by tables. */
#include "lib/policy/json_read.h"

#include <string.h>

#include "lib/core/error.h"
#include "lib/policy/policy.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* --- errors ----------------------------------------------------------------------------------- */

static int fail_at(hvcore_error *err, int code, const hvc_json_place *place, const char *problem)
{
    hvc_fail(err, code, HVCORE_DOMAIN_POLICY, "At \"%s\": %s.", place->pointer, problem);
    hvc_policy_locate(err, 0, place->line, place->column);
    return -code;
}

/* Places cost a scan of the text: nobody asks for them unless something is wrong. */
int hvc_json_refuse(const hvc_json *r, int code, const char *problem)
{
    hvc_json_place place;
    hvc_json_where(r->text, r->len, &r->path, &place);
    return fail_at(r->err, code, &place, problem);
}

static int refuse(const hvc_json *r, const char *problem)
{
    return hvc_json_refuse(r, HVCORE_E_PARSE, problem);
}

const char *hvc_json_shown(char *out, size_t size, const char *text)
{
    size_t n = 0;
    while (text[n] && n + 1 < size) {
        unsigned char c = (unsigned char)text[n];
        out[n++] = c < 0x20 || c > 0x7e || c == '"' ? '?' : (char)c;
    }
    out[n] = 0;
    return out;
}

/* --- kinds ------------------------------------------------------------------------------------ */

static const struct {
    int kind;
    const char *problem;
} kinds[] = {
    {HVC_JSON_STRING, "a string must stand here"},
    {HVC_JSON_BOOL, "true or false must stand here"},
    {HVC_JSON_INT, "an integer must stand here"},
    {HVC_JSON_ARRAY, "an array must stand here"},
    {HVC_JSON_OBJECT, "an object must stand here"},
    {HVC_JSON_STRING | HVC_JSON_NULL, "a string or null must stand here"},
    {HVC_JSON_STRING | HVC_JSON_INT, "a name or a number must stand here"},
};

bool hvc_json_is(const json_object *value, int kind)
{
    return (1 << json_object_get_type(value)) & kind;
}

int hvc_json_expect(const hvc_json *r, const json_object *value, int kind)
{
    size_t i = 0;
    if (hvc_json_is(value, kind)) {
        return 0;
    }
    while (i < COUNT(kinds) && kinds[i].kind != kind) {
        i++;
    }
    return refuse(r,
                  i < COUNT(kinds) ? kinds[i].problem : "a value of another type must stand here");
}

/* --- words and numbers ------------------------------------------------------------------------ */

static int refuse_word(const hvc_json *r, const char *text, const hvc_json_word *words, size_t n)
{
    char list[96] = "", name[32], problem[160];
    for (size_t i = 0, at = 0; i < n && at < sizeof(list); i++) {
        at +=
            (size_t)hvc_format(list + at, sizeof(list) - at, "%s%s", i ? ", " : "", words[i].text);
    }
    hvc_format(problem, sizeof(problem), "\"%s\" is not one of: %s",
               hvc_json_shown(name, sizeof(name), text), list);
    return refuse(r, problem);
}

int hvc_json_read_word(const hvc_json *r, json_object *value, const hvc_json_word *words, size_t n,
                       uint32_t *out)
{
    const char *text = json_object_get_string(value);
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(words[i].text, text)) {
            *out = words[i].means;
            return 0;
        }
    }
    return refuse_word(r, text, words, n);
}

/* The tree saturates what does not fit, so the comparison holds for any number of digits. */
int hvc_json_read_number(const hvc_json *r, json_object *value, uint32_t max, uint32_t *out)
{
    char problem[64];
    int64_t number = json_object_get_int64(value);
    if (number < 0 || number > max) {
        hvc_format(problem, sizeof(problem), "the number is not from 0 to %u", max);
        return refuse(r, problem);
    }
    *out = (uint32_t)number;
    return 0;
}

/* --- members ---------------------------------------------------------------------------------- */

static size_t find_member(const hvc_json_member *rows, size_t n, const char *key)
{
    size_t i = 0;
    while (i < n && strcmp(rows[i].key, key)) {
        i++;
    }
    return i;
}

static int store(const hvc_json *r, const hvc_json_member *m, json_object *value, void *out)
{
    uint32_t *to = (uint32_t *)((char *)out + m->offset);
    if (m->words) {
        return hvc_json_read_word(r, value, m->words, m->count, to);
    }
    if (m->kind == HVC_JSON_BOOL) {
        *to = json_object_get_boolean(value) ? 1 : 0;
        return 0;
    }
    return m->max ? hvc_json_read_number(r, value, m->max, to) : 0;
}

static int read_member(hvc_json *r, const hvc_json_member *m, json_object *value, void *out)
{
    int rc = hvc_json_expect(r, value, m->kind);
    if (rc) {
        return rc;
    }
    return m->read ? m->read(r, value, out) : store(r, m, value, out);
}

static int refuse_unknown(hvc_json *r, const char *key)
{
    char name[32], problem[96];
    hvc_format(problem, sizeof(problem), "the key \"%s\" is unknown here",
               hvc_json_shown(name, sizeof(name), key));
    r->path.key = true;
    return refuse(r, problem);
}

static int refuse_missing(const hvc_json *r, const hvc_json_member *rows, size_t n, uint32_t seen)
{
    char problem[64];
    for (size_t i = 0; i < n; i++) {
        if (rows[i].required && !(seen & (UINT32_C(1) << i))) {
            hvc_format(problem, sizeof(problem), "the key \"%s\" is missing", rows[i].key);
            return refuse(r, problem);
        }
    }
    return 0;
}

int hvc_json_members(hvc_json *r, json_object *object, const hvc_json_member *rows, size_t n,
                     void *out)
{
    struct json_object_iterator at = json_object_iter_begin(object);
    struct json_object_iterator end = json_object_iter_end(object);
    uint32_t *ordinal = &r->path.at[r->path.depth++], seen = 0;
    for (*ordinal = 0; !json_object_iter_equal(&at, &end); ++*ordinal) {
        const char *key = json_object_iter_peek_name(&at);
        size_t i = find_member(rows, n, key);
        int rc = i == n ? refuse_unknown(r, key)
                        : read_member(r, &rows[i], json_object_iter_peek_value(&at), out);
        if (rc) {
            return rc;
        }
        seen |= UINT32_C(1) << i;
        json_object_iter_next(&at);
    }
    r->path.depth--;
    return refuse_missing(r, rows, n, seen);
}

/* --- the text --------------------------------------------------------------------------------- */

int hvc_json_open(hvc_json *r, json_object **top)
{
    hvc_json_check check;
    hvc_json_check_text(r->text, r->len, &check);
    if (check.code) {
        return fail_at(r->err, check.code, &check.place, check.problem);
    }
    if (!hvc_json_build(r->text, r->len, top)) {
        return hvc_fail(r->err, HVCORE_E_NOMEM, HVCORE_DOMAIN_POLICY,
                        "There is no memory for the tree of the document.");
    }
    return 0;
}
