/* SPDX-License-Identifier: Apache-2.0 */
/* A strict scanner: it accepts or says where not, and finds places. It builds nothing. */
#include "lib/policy/json_where.h"

#include <string.h>

#include <hvcore/error.h>

#include "lib/host/host.h"

#define NO_KEY SIZE_MAX
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

typedef hvc_json_cursor cursor;

/* An object or array that is open. */
typedef struct level {
    bool object;
    uint32_t ordinal; /* of the member or element that is being read */
    size_t key;       /* where the name of that member begins, or NO_KEY */
    uint32_t keys;
    size_t seen[HVC_JSON_MEMBERS]; /* where the names so far begin */
} level;

typedef struct scan {
    cursor c;
    uint32_t depth;
    level level[HVC_JSON_DEPTH];
    uint32_t values;
    size_t bytes;              /* of names and strings, decoded */
    const hvc_json_path *want; /* stop there; NULL: read all */
    int code;
    const char *problem;
} scan;

static int peek(const cursor *c)
{
    return hvc_json_peek(c);
}

/* Stop here. A problem at the end of the text is always the same one. */
static bool stop(scan *s, int code, const char *problem)
{
    s->code = code;
    s->problem = s->c.at < s->c.len ? problem : "the text ends here, before the document does";
    return false;
}

static bool wrong(scan *s, const char *problem)
{
    return stop(s, HVCORE_E_PARSE, problem);
}

void hvc_json_skip_space(cursor *c)
{
    int b = peek(c);
    while (b == ' ' || b == '\t' || b == '\n' || b == '\r') {
        c->at++;
        b = peek(c);
    }
}

/* --- strings ---------------------------------------------------------------------------------- */

/* What `lead` begins, its bits of the code point, and the least one that needs so many bytes. */
typedef struct utf8_form {
    unsigned char mask, lead, bits;
    uint32_t least;
} utf8_form;

static const utf8_form utf8_forms[] = {{0x80, 0x00, 0x7f, 0},
                                       {0xe0, 0xc0, 0x1f, 0x80},
                                       {0xf0, 0xe0, 0x0f, 0x800},
                                       {0xf8, 0xf0, 0x07, 0x10000}};

static bool is_surrogate(uint32_t cp)
{
    return cp >= 0xd800 && cp <= 0xdfff;
}

/* Read the rest of a sequence of `n` more bytes; false if it is not well-formed. */
static bool utf8_tail(cursor *c, size_t n, uint32_t *cp)
{
    for (size_t i = 1; i <= n; i++) {
        if (c->at + i >= c->len || (c->text[c->at + i] & 0xc0) != 0x80) {
            return false;
        }
        *cp = *cp << 6 | (c->text[c->at + i] & 0x3f);
    }
    c->at += n + 1;
    return true;
}

static const char *utf8(cursor *c, uint32_t *cp)
{
    unsigned char b = c->text[c->at];
    for (size_t n = 0; n < COUNT(utf8_forms); n++) {
        const utf8_form *f = &utf8_forms[n];
        if ((b & f->mask) == f->lead) {
            cursor ahead = *c;
            *cp = b & f->bits;
            if (!utf8_tail(&ahead, n, cp) || *cp < f->least || *cp > 0x10ffff ||
                is_surrogate(*cp)) {
                break;
            }
            *c = ahead;
            return NULL;
        }
    }
    return "this is not UTF-8";
}

static int hex(int b)
{
    if (b >= '0' && b <= '9') {
        return b - '0';
    }
    b |= 0x20;
    return b >= 'a' && b <= 'f' ? b - 'a' + 10 : -1;
}

/* Four digits after \u. */
static const char *hex4(cursor *c, uint32_t *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex(peek(c));
        if (digit < 0) {
            return "\\u is followed by four hexadecimal digits";
        }
        *unit = *unit << 4 | (uint32_t)digit;
        c->at++;
    }
    return NULL;
}

/* The second half of a pair, after the first: \uDC00 to \uDFFF. */
static const char *low_surrogate(cursor *c, uint32_t *cp)
{
    uint32_t low = 0;
    if (c->len - c->at < 2 || c->text[c->at] != '\\' || c->text[c->at + 1] != 'u') {
        return "a surrogate stands alone";
    }
    c->at += 2;
    const char *problem = hex4(c, &low);
    if (!problem && (low < 0xdc00 || low > 0xdfff)) {
        problem = "a surrogate stands alone";
    }
    *cp = 0x10000 + ((*cp - 0xd800) << 10) + (low - 0xdc00);
    return problem;
}

static const char *unicode_escape(cursor *c, uint32_t *cp)
{
    const char *problem = hex4(c, cp);
    if (problem || !is_surrogate(*cp)) {
        return !problem && *cp == 0 ? "NUL cannot stand in a string" : problem;
    }
    return *cp < 0xdc00 ? low_surrogate(c, cp) : "a surrogate stands alone";
}

static const char *escape(cursor *c, uint32_t *cp)
{
    static const char names[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    size_t begin = c->at++;
    int b = peek(c);
    const char *found = b > 0 ? strchr(names, b) : NULL;
    const char *problem = NULL;
    c->at++;
    if (found) {
        *cp = (uint32_t)means[found - names];
    } else if (b == 'u') {
        problem = unicode_escape(c, cp);
    } else {
        problem = "there is no such escape";
    }
    if (problem) {
        c->at = begin;
    }
    return problem;
}

const char *hvc_json_character(cursor *c, uint32_t *cp)
{
    int b = peek(c);
    if (b < 0x20) {
        return b ? "a control character stands in a string" : "a NUL byte stands in a string";
    }
    return b == '\\' ? escape(c, cp) : utf8(c, cp);
}

static bool string(scan *s)
{
    uint32_t cp;
    s->c.at++;
    while (peek(&s->c) != '"') {
        const char *problem = hvc_json_character(&s->c, &cp);
        if (problem) {
            return wrong(s, problem);
        }
    }
    s->c.at++;
    return true;
}

/* Two names that begin at `a` and `b`, as they read after decoding. Both have been scanned. */
static bool same_key(const scan *s, size_t a, size_t b)
{
    cursor x = {s->c.text, s->c.len, a + 1}, y = {s->c.text, s->c.len, b + 1};
    while (peek(&x) != '"' && peek(&y) != '"') {
        uint32_t cx = 0, cy = 0;
        hvc_json_character(&x, &cx);
        hvc_json_character(&y, &cy);
        if (cx != cy) {
            return false;
        }
    }
    return peek(&x) == peek(&y);
}

/* --- values ----------------------------------------------------------------------------------- */

static bool wanted(const scan *s, bool key)
{
    if (!s->want || s->want->key != key || s->want->depth != s->depth) {
        return false;
    }
    for (uint32_t i = 0; i < s->depth; i++) {
        if (s->want->at[i] != s->level[i].ordinal) {
            return false;
        }
    }
    return true;
}

static bool digits(cursor *c)
{
    size_t begin = c->at;
    while (peek(c) >= '0' && peek(c) <= '9') {
        c->at++;
    }
    return c->at != begin;
}

static bool number(scan *s)
{
    cursor *c = &s->c;
    c->at += peek(c) == '-';
    if (peek(c) == '0') {
        c->at++;
    } else if (!digits(c)) {
        return wrong(s, "a digit must stand here");
    }
    if (peek(c) == '.') {
        c->at++;
        if (!digits(c)) {
            return wrong(s, "a digit must follow the point");
        }
    }
    if (peek(c) == 'e' || peek(c) == 'E') {
        c->at++;
        c->at += peek(c) == '+' || peek(c) == '-';
        if (!digits(c)) {
            return wrong(s, "a digit must stand in the exponent");
        }
    }
    return true;
}

static bool literal(scan *s)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < COUNT(words); i++) {
        size_t n = strlen(words[i]);
        if (s->c.len - s->c.at >= n && !memcmp(s->c.text + s->c.at, words[i], n)) {
            s->c.at += n;
            return true;
        }
    }
    return wrong(s, "the only words of JSON are true, false and null");
}

/* What people write where a value belongs. */
static bool no_value(scan *s)
{
    static const struct {
        char byte;
        const char *problem;
    } hints[] = {
        {'\'', "strings stand in double quotes"},
        {'/', "JSON has no comments; use the key \"comment\""},
        {'#', "JSON has no comments; use the key \"comment\""},
        {'N', "JSON knows neither NaN nor Infinity"},
        {'I', "JSON knows neither NaN nor Infinity"},
        {'+', "numbers begin with a digit or a minus"},
        {'.', "numbers begin with a digit or a minus"},
        {']', "a value must stand here; a list does not end with a comma"},
        {'}', "a value must stand here"},
        {0, "a NUL byte stands in the text"},
    };
    for (size_t i = 0; i < COUNT(hints); i++) {
        if (peek(&s->c) == hints[i].byte) {
            return wrong(s, hints[i].problem);
        }
    }
    return wrong(s, "a value must stand here");
}

static bool value(scan *s);

static bool open_level(scan *s, bool object)
{
    if (s->depth == HVC_JSON_DEPTH) {
        return stop(s, HVCORE_E_LIMIT, "the document is nested deeper than 8");
    }
    level *l = &s->level[s->depth++];
    l->object = object;
    l->ordinal = 0;
    l->key = NO_KEY;
    l->keys = 0;
    s->c.at++;
    hvc_json_skip_space(&s->c);
    return true;
}

static bool close_level(scan *s)
{
    s->depth--;
    s->c.at++;
    return true;
}

/* Another member of this name? Objects of the language are small, so a short list does. */
static bool note_key(scan *s, level *l)
{
    for (uint32_t i = 0; i < l->keys; i++) {
        if (same_key(s, l->seen[i], l->key)) {
            s->c.at = l->key;
            return wrong(s, "this key stands twice in one object");
        }
    }
    if (l->keys == HVC_JSON_MEMBERS) {
        s->c.at = l->key;
        return stop(s, HVCORE_E_LIMIT, "the object has more than 32 members");
    }
    l->seen[l->keys++] = l->key;
    return true;
}

static bool key(scan *s)
{
    level *l = &s->level[s->depth - 1];
    size_t begin = s->c.at;
    if (peek(&s->c) != '"') {
        return wrong(s, peek(&s->c) == '}'
                            ? "a member must follow the comma"
                            : "the name of a member must stand here, in double quotes");
    }
    if (!string(s)) {
        return false;
    }
    l->key = begin;
    if (!note_key(s, l)) {
        return false;
    }
    if (wanted(s, true)) {
        s->c.at = begin;
        return false;
    }
    hvc_json_skip_space(&s->c);
    return true;
}

static bool member(scan *s)
{
    if (!key(s)) {
        return false;
    }
    if (peek(&s->c) != ':') {
        return wrong(s, "a colon must stand here");
    }
    s->c.at++;
    hvc_json_skip_space(&s->c);
    if (!value(s)) {
        return false;
    }
    s->level[s->depth - 1].key = NO_KEY;
    return true;
}

static bool container(scan *s, bool object)
{
    int end = object ? '}' : ']';
    if (!open_level(s, object)) {
        return false;
    }
    while (peek(&s->c) != end || s->level[s->depth - 1].ordinal) {
        if (!(object ? member(s) : value(s))) {
            return false;
        }
        hvc_json_skip_space(&s->c);
        if (peek(&s->c) == end) {
            break;
        }
        if (peek(&s->c) != ',') {
            return wrong(s,
                         object ? "a comma or } must stand here" : "a comma or ] must stand here");
        }
        s->c.at++;
        s->level[s->depth - 1].ordinal++;
        hvc_json_skip_space(&s->c);
    }
    return close_level(s);
}

/* Recursion is bounded by open_level(). */
static bool value(scan *s)
{
    int b = peek(&s->c);
    if (wanted(s, false)) {
        return false;
    }
    if (b == '{' || b == '[') {
        return container(s, b == '{');
    }
    if (b == '"') {
        return string(s);
    }
    if (b == '-' || (b >= '0' && b <= '9')) {
        return number(s);
    }
    return b >= 'a' && b <= 'z' ? literal(s) : no_value(s);
}

static bool document(scan *s)
{
    if (s->c.len >= 3 && !memcmp(s->c.text, "\xef\xbb\xbf", 3)) {
        return wrong(s, "the text begins with a byte order mark");
    }
    hvc_json_skip_space(&s->c);
    if (peek(&s->c) != '{') {
        return wrong(s, "a policy is an object and begins with {");
    }
    return value(s);
}

/* --- places ----------------------------------------------------------------------------------- */

typedef struct writer {
    char *out;
    size_t size, at;
} writer;

static void put(writer *w, char c)
{
    if (w->at + 1 < w->size) {
        w->out[w->at++] = c;
        w->out[w->at] = 0;
    }
}

/* A name as RFC 6901 wants it; it is for people, so what does not print becomes a question mark. */
static void put_key(writer *w, const scan *s, size_t begin)
{
    cursor c = {s->c.text, s->c.len, begin + 1};
    for (int n = 0; peek(&c) != '"'; n++) {
        uint32_t cp = '?';
        if (n == 24) {
            put(w, '.');
            put(w, '.');
            return;
        }
        if (hvc_json_character(&c, &cp)) {
            return; /* the name itself is what is wrong */
        }
        if (cp == '~' || cp == '/') {
            put(w, '~');
            put(w, cp == '~' ? '0' : '1');
        } else {
            put(w, cp < 0x20 || cp > 0x7e || cp == '"' ? '?' : (char)cp);
        }
    }
}

static void put_pointer(const scan *s, hvc_json_place *place)
{
    writer w = {place->pointer, sizeof(place->pointer), 0};
    char ordinal[16];
    place->pointer[0] = 0;
    for (uint32_t i = 0; i < s->depth; i++) {
        const level *l = &s->level[i];
        if (l->object && l->key == NO_KEY) {
            return;
        }
        put(&w, '/');
        if (l->object) {
            put_key(&w, s, l->key);
            continue;
        }
        hvc_format(ordinal, sizeof(ordinal), "%u", l->ordinal);
        for (const char *d = ordinal; *d; d++) {
            put(&w, *d);
        }
    }
}

static void locate(const scan *s, hvc_json_place *place)
{
    place->line = place->column = 1;
    for (size_t i = 0; i < s->c.at && i < s->c.len; i++) {
        place->column++;
        if (s->c.text[i] == '\n') {
            place->line++;
            place->column = 1;
        }
    }
    put_pointer(s, place);
}

static void begin(scan *s, const char *text, size_t len, const hvc_json_path *want)
{
    s->c = (cursor){(const unsigned char *)text, len, 0};
    s->depth = 0;
    s->want = want;
    s->code = 0;
    s->problem = NULL;
}

void hvc_json_check_text(const char *text, size_t len, hvc_json_check *check)
{
    scan s;
    begin(&s, text, len, NULL);
    if (len > HVC_JSON_BYTES) {
        s.c.at = HVC_JSON_BYTES;
        stop(&s, HVCORE_E_LIMIT, "a policy has at most 65536 bytes");
    } else if (document(&s)) {
        hvc_json_skip_space(&s.c);
        if (peek(&s.c) >= 0) {
            wrong(&s, "the document has ended, but the text goes on");
        }
    }
    check->code = s.code;
    check->problem = s.problem;
    locate(&s, &check->place);
}

void hvc_json_where(const char *text, size_t len, const hvc_json_path *path, hvc_json_place *place)
{
    scan s;
    begin(&s, text, len, path);
    document(&s);
    locate(&s, place);
}
