/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Test vectors as data. All functions are for test programs: a file that is missing or malformed
 * ends the program with a message and status 1, because nothing could be tested then.
 *
 *     json_object *doc = hvc_vectors_open("riscv_vectors.json");
 *     size_t at = 0;
 *     for (json_object *v; (v = hvc_vectors_next(doc, "walk", &at));)
 *         uint64_t va = hvc_json_u64(v, "in.va");
 *     json_object_put(doc);
 *
 * A path names members separated by dots; a number is an index into an array ("in.deny.0").
 * Integers stand in the files as "0x..." strings, as numbers or as booleans.
 */
#ifndef HVC_TESTS_VECTORS_H
#define HVC_TESTS_VECTORS_H

#include <json-c/json.h>

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef HVC_VECTORS_DIR
#define HVC_VECTORS_DIR "tests/vectors"
#endif

static inline _Noreturn void hvc_vectors_die(const char *what, const char *which)
{
    fprintf(stderr, "vectors: %s: %s\n", which, what);
    exit(1);
}

/* The document `file` of the folder $HVC_VECTORS, else of HVC_VECTORS_DIR; json_object_put() it. */
static inline json_object *hvc_vectors_open(const char *file)
{
    const char *dir = getenv("HVC_VECTORS");
    char path[4096];
    json_object *doc;
    int n = snprintf(path, sizeof path, "%s/%s", dir && *dir ? dir : HVC_VECTORS_DIR, file);

    if (n < 0 || (size_t)n >= sizeof path)
        hvc_vectors_die("path too long", file);
    doc = json_object_from_file(path);
    if (!doc)
        hvc_vectors_die(json_util_get_last_err(), path);
    return doc;
}

/* What `path` leads to, or NULL (also for JSON null). */
static inline json_object *hvc_json_at(json_object *obj, const char *path)
{
    char name[128];

    while (obj && *path) {
        size_t len = strcspn(path, ".");

        if (len >= sizeof name)
            hvc_vectors_die("name too long", path);
        memcpy(name, path, len);
        name[len] = 0;
        path += len + (path[len] == '.');
        if (json_object_is_type(obj, json_type_array))
            obj = json_object_array_get_idx(obj, strtoul(name, NULL, 10));
        else if (!json_object_object_get_ex(obj, name, &obj))
            obj = NULL;
    }
    return obj;
}

/* A string with an integer in C's notation, the whole of it. */
static inline uint64_t hvc_vectors_parse_u64(const char *text, const char *which)
{
    char *end;
    uint64_t value;

    errno = 0;
    value = strtoull(text, &end, 0);
    if (errno || end == text || *end || *text == '-')
        hvc_vectors_die("not an integer", which);
    return value;
}

/* The integer at `path`, or `absent` if nothing is there. */
static inline uint64_t hvc_json_u64_or(json_object *obj, const char *path, uint64_t absent)
{
    json_object *at = hvc_json_at(obj, path);

    switch (json_object_get_type(at)) {
    case json_type_null:
        return absent;
    case json_type_boolean:
        return json_object_get_boolean(at) ? 1 : 0;
    case json_type_int:
        return json_object_get_uint64(at);
    case json_type_string:
        return hvc_vectors_parse_u64(json_object_get_string(at), path);
    default:
        hvc_vectors_die("not an integer", path);
    }
}

/* The integer at `path`, which must be there. */
static inline uint64_t hvc_json_u64(json_object *obj, const char *path)
{
    if (!hvc_json_at(obj, path))
        hvc_vectors_die("missing", path);
    return hvc_json_u64_or(obj, path, 0);
}

/* The string at `path`, or `absent`. It lives as long as the document. */
static inline const char *hvc_json_str_or(json_object *obj, const char *path, const char *absent)
{
    json_object *at = hvc_json_at(obj, path);

    if (!at)
        return absent;
    if (!json_object_is_type(at, json_type_string))
        hvc_vectors_die("not a string", path);
    return json_object_get_string(at);
}

/* The number of elements of the array at `path`; 0 if nothing is there. */
static inline size_t hvc_json_len(json_object *obj, const char *path)
{
    json_object *at = hvc_json_at(obj, path);

    if (at && !json_object_is_type(at, json_type_array))
        hvc_vectors_die("not an array", path);
    return at ? json_object_array_length(at) : 0;
}

/* The next element of "vectors" whose "kind" is `kind` (NULL: any), or NULL. *at begins with 0. */
static inline json_object *hvc_vectors_next(json_object *doc, const char *kind, size_t *at)
{
    json_object *all = hvc_json_at(doc, "vectors");

    if (!json_object_is_type(all, json_type_array))
        hvc_vectors_die("no array of that name", "vectors");
    while (*at < json_object_array_length(all)) {
        json_object *v = json_object_array_get_idx(all, (*at)++);

        if (!kind || strcmp(hvc_json_str_or(v, "kind", ""), kind) == 0)
            return v;
    }
    return NULL;
}
#endif
