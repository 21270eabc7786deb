/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies as JSON. Documents are written with ' for " so that they can be read here; a back quote
 * is a real '. In a malformed one, ^ stands before the byte that the error points to.
 */
#include "tests/unit/policy.h"
#include "tests/unit/random.h"

#include <errno.h>
#include <time.h>

/* --- failing allocations ---------------------------------------------------------------------- */

/* The ground's and, where no sanitizer has taken it, the C library's: json-c uses that. */
static long fail_after = -1; /* -1: never */
static bool fail_once;
static bool failed;
static long live; /* allocations that nobody has freed, if they can be counted */

static bool out_of_memory(void)
{
    if (fail_after < 0 || fail_after-- > 0) {
        return false;
    }
    fail_after = fail_once ? -1 : 0; /* or all that follow */
    failed = true;
    return true;
}

void *__real_hvc_host_alloc(size_t size);
void *__wrap_hvc_host_alloc(size_t size);
void *__wrap_hvc_host_alloc(size_t size)
{
    return out_of_memory() ? NULL : __real_hvc_host_alloc(size);
}

#if defined(__has_feature)
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && \
    !HAS_FEATURE(address_sanitizer) && !HAS_FEATURE(thread_sanitizer)
#define OWN_MALLOC 1
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

void __libc_free(void *p);

static void *counted(void *p)
{
    live += p != NULL;
    return p;
}

__attribute__((visibility("default"))) void *malloc(size_t size)
{
    return out_of_memory() ? NULL : counted(__libc_malloc(size));
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size)
{
    return out_of_memory() ? NULL : counted(__libc_calloc(n, size));
}

__attribute__((visibility("default"))) void *realloc(void *p, size_t size)
{
    if (out_of_memory()) {
        return NULL;
    }
    return p ? __libc_realloc(p, size) : counted(__libc_malloc(size));
}

__attribute__((visibility("default"))) void free(void *p)
{
    live -= p != NULL;
    __libc_free(p);
}
#else
#define OWN_MALLOC 0
#endif

/* --- documents -------------------------------------------------------------------------------- */

typedef struct document {
    char *text;
    size_t len;
    size_t mark; /* offset of ^, or SIZE_MAX */
} document;

static document document_of(const char *shape, size_t n)
{
    document d = {malloc(n + 1), 0, SIZE_MAX};
    if (!d.text) {
        exit(1);
    }
    for (size_t i = 0; i < n; i++) {
        if (shape[i] == '^') {
            d.mark = d.len;
        } else {
            d.text[d.len++] = shape[i] == '\'' ? '"' : shape[i] == '`' ? '\'' : shape[i];
        }
    }
    /* Exactly as many bytes as the text has: reading beyond them shows under a sanitizer. */
    d.text = realloc(d.text, d.len ? d.len : 1);
    return d;
}

static int parse(const document *d, hvcore_policy **p, hvcore_error *e)
{
    *e = (hvcore_error)HVCORE_ERROR_INIT;
    *p = (hvcore_policy *)e; /* must be overwritten */
    return hvcore_policy_from_json(d->text, d->len, p, e);
}

static void place_of(const document *d, size_t at, uint32_t *line, uint32_t *column)
{
    *line = *column = 1;
    for (size_t i = 0; i < at; i++) {
        bool newline = d->text[i] == '\n';
        *line += newline;
        *column = newline ? 1 : *column + 1;
    }
}

/* --- malformed documents ---------------------------------------------------------------------- */

typedef struct malformed {
    const char *shape;
    size_t len;
    int code;
    const char *message; /* a piece of it */
} malformed;

#define BAD(shape, code, message)                          \
    {                                                      \
        shape, sizeof(shape) - 1, HVCORE_E_##code, message \
    }
#define TOP "{'hvcore-policy':1,'arch':'riscv64',"
#define RULES(rules) TOP "'rules':[" rules "]}"
#define DO(rest) RULES("{'cause':['breakpoint'],'do':" rest "}")
#define RULE(rest) RULES("{'cause':['breakpoint'],'do':'redirect'," rest "}")
#define X10 "xxxxxxxxxx"
#define X60 X10 X10 X10 X10 X10 X10

static const malformed bad[] = {
    /* not JSON */
    BAD("^", PARSE, "ends here"),
    BAD("  \n ^", PARSE, "ends here"),
    BAD("^null", PARSE, "is an object"),
    BAD("^[]", PARSE, "is an object"),
    BAD("^'riscv64'", PARSE, "is an object"),
    BAD("^1", PARSE, "is an object"),
    BAD("^}", PARSE, "is an object"),
    BAD("^\xef\xbb\xbf" TOP "}", PARSE, "byte order mark"),
    BAD("^\xff\xfe{", PARSE, "is an object"),
    BAD("^\0{}", PARSE, "is an object"),
    BAD("^// no\n{}", PARSE, "is an object"),
    BAD("{^", PARSE, "ends here"),
    BAD("{'hvcore-policy'^", PARSE, "ends here"),
    BAD("{'hvcore-policy':^", PARSE, "ends here"),
    BAD("{'hvcore-policy':1^", PARSE, "ends here"),
    BAD("{'hvcore-policy':1,^", PARSE, "ends here"),
    BAD("{'hvcore-policy':1,'arch^", PARSE, "ends here"),
    BAD("{'hvcore-policy':1,^}", PARSE, "a member must follow the comma"),
    BAD("{^,}", PARSE, "name of a member"),
    BAD("{^1:2}", PARSE, "name of a member"),
    BAD("{^arch:1}", PARSE, "name of a member"),
    BAD("{^`arch`:`riscv64`}", PARSE, "in double quotes"),
    BAD("{'arch' ^'riscv64'}", PARSE, "a colon"),
    BAD("{'arch'^='riscv64'}", PARSE, "a colon"),
    BAD("{'arch':^`riscv64`}", PARSE, "double quotes"),
    BAD("{'arch':'riscv64' ^'base':'linux-guest'}", PARSE, "a comma or }"),
    BAD("{'arch':'riscv64'^]", PARSE, "a comma or }"),
    BAD("{'arch':^,}", PARSE, "At \"/arch\": a value must stand here"),
    BAD("{'arch':^}", PARSE, "a value must stand here"),
    BAD("{'arch':^/* none */ 'riscv64'}", PARSE, "has no comments"),
    BAD("{'arch':^# none\n'riscv64'}", PARSE, "has no comments"),
    BAD("{'hvcore-policy':1,\n ^// no\n'arch':'riscv64'}", PARSE, "name of a member"),
    BAD("{'arch':^NaN}", PARSE, "NaN"),
    BAD("{'arch':^Infinity}", PARSE, "Infinity"),
    BAD("{'arch':-^Infinity}", PARSE, "a digit"),
    BAD("{'arch':^nan}", PARSE, "true, false and null"),
    BAD("{'arch':^True}", PARSE, "a value must stand here"),
    BAD("{'arch':^TRUE}", PARSE, "a value must stand here"),
    BAD("{'arch':^nul}", PARSE, "true, false and null"),
    BAD("{'arch':true^x}", PARSE, "a comma or }"),
    BAD("{'arch':0^1}", PARSE, "a comma or }"),
    BAD("{'arch':0^x1}", PARSE, "a comma or }"),
    BAD("{'arch':^+1}", PARSE, "numbers begin"),
    BAD("{'arch':^.5}", PARSE, "numbers begin"),
    BAD("{'arch':1.^}", PARSE, "follow the point"),
    BAD("{'arch':1e^}", PARSE, "exponent"),
    BAD("{'arch':1e+^x}", PARSE, "exponent"),
    BAD("{'arch':-^}", PARSE, "a digit"),
    BAD("{'rules':[1,2,^]}", PARSE, "At \"/rules/2\": a value must stand here; a list"),
    BAD("{'rules':[^,1]}", PARSE, "At \"/rules/0\""),
    BAD("{'rules':[1 ^2]}", PARSE, "a comma or ]"),
    BAD("{'rules':[1^}", PARSE, "a comma or ]"),
    BAD("{'rules':[{'a':1,^}]}", PARSE, "At \"/rules/0\": a member"),
    BAD("{'arch':'^\n'}", PARSE, "control character"),
    BAD("{'arch':'^\t'}", PARSE, "control character"),
    BAD("{'arch':'a^\0b'}", PARSE, "NUL"),
    BAD("{'arch':^\0}", PARSE, "NUL"),
    BAD("{'arch':'^\\u0000'}", PARSE, "NUL"),
    BAD("{'arch':'^\\x41'}", PARSE, "no such escape"),
    BAD("{'arch':'^\\`'}", PARSE, "no such escape"),
    BAD("{'arch':'^\\u12'}", PARSE, "four hexadecimal"),
    BAD("{'arch':'^\\u12g4'}", PARSE, "four hexadecimal"),
    BAD("{'arch':'^\\ud800'}", PARSE, "surrogate"),
    BAD("{'arch':'^\\ud800\\u0041'}", PARSE, "surrogate"),
    BAD("{'arch':'^\\ud800\\n'}", PARSE, "surrogate"),
    BAD("{'arch':'^\\udc00\\ud800'}", PARSE, "surrogate"),
    BAD("{'arch':'^\\udc00\\udc00'}", PARSE, "surrogate"),
    BAD("{'arch':'^\xff'}", PARSE, "UTF-8"),
    BAD("{'arch':'^\x80'}", PARSE, "UTF-8"),
    BAD("{'arch':'\xc3\xa4^\xc3'}", PARSE, "UTF-8"),
    BAD("{'arch':'^\xc0\x80'}", PARSE, "UTF-8"),
    BAD("{'arch':'^\xe0\x80\xaf'}", PARSE, "UTF-8"),
    BAD("{'arch':'^\xed\xa0\x80'}", PARSE, "UTF-8"),
    BAD("{'arch':'^\xf4\x90\x80\x80'}", PARSE, "UTF-8"),
    BAD("{'arch':'^\xf8\x88\x80\x80\x80'}", PARSE, "UTF-8"),
    BAD("{'a\xc3\xa4^\xe4':1}", PARSE, "At \"\": this is not UTF-8"),
    BAD("{^\xc3\xa4:1}", PARSE, "name of a member"),
    BAD("{'arch':^\xc3\xa4}", PARSE, "a value must stand here"),
    BAD(TOP "'rules':[]} ^x", PARSE, "the text goes on"),
    BAD(TOP "'rules':[]}\n^{}", PARSE, "the text goes on"),
    BAD(TOP "'rules':[]}^\0", PARSE, "the text goes on"),
    BAD(TOP "'rules':[]}^,", PARSE, "the text goes on"),
    BAD("{'a':[[[[[[[^[1]]]]]]]]}", LIMIT, "At \"/a/0/0/0/0/0/0/0\": the document is nested"),
    BAD("{'a':{'a':{'a':{'a':{'a':{'a':{'a':{'a':^{}}}}}}}}}", LIMIT, "nested deeper than 8"),
    /* twice the same */
    BAD(TOP "^'arch':'riscv64'}", PARSE, "At \"/arch\": this key stands twice"),
    BAD(TOP "^'\\u0061rch':'riscv64'}", PARSE, "At \"/arch\": this key stands twice"),
    BAD(TOP "'comment':'a',^'comment':'b'}", PARSE, "stands twice"),
    BAD(RULE("^'do':'redirect'"), PARSE, "At \"/rules/0/do\": this key stands twice"),
    BAD(TOP "'x\\u00e4':1,^'x\xc3\xa4':2}", PARSE, "stands twice"),
    BAD(TOP "'storm':{'repeat':5,^'repeat':5}}", PARSE, "At \"/storm/repeat\""),
    /* unknown and missing */
    BAD("^{}", PARSE, "At \"\": the key \"hvcore-policy\" is missing"),
    BAD("\n\n ^{'hvcore-policy':1}", PARSE, "the key \"arch\" is missing"),
    BAD("^{'arch':'riscv64'}", PARSE, "the key \"hvcore-policy\" is missing"),
    BAD(TOP "^'colour':'red'}", PARSE, "At \"/colour\": the key \"colour\" is unknown"),
    BAD(TOP "^'':1}", PARSE, "At \"/\": the key \"\" is unknown"),
    BAD(TOP "^'Rules':[]}", PARSE, "the key \"Rules\" is unknown"),
    BAD(TOP "^'a/b~c\\n\xc3\xa4\\'':1}", PARSE, "At \"/a~1b~0c???\": the key \"a/b~c????\""),
    BAD(TOP "^'" X60 X60 "':1}", PARSE, "At \"/xxxxxxxxxxxxxxxxxxxxxxxx..\""),
    BAD(RULE("^'action':'exit'"), PARSE, "At \"/rules/0/action\": the key \"action\" is unknown"),
    BAD(TOP "'storm':{^'drain':1}}", PARSE, "At \"/storm/drain\": the key \"drain\" is unknown"),
    BAD(RULES("^{'do':'redirect'}"), PARSE, "At \"/rules/0\": the key \"cause\" is missing"),
    BAD(RULES("^{'cause':[2]}"), PARSE, "At \"/rules/0\": the key \"do\" is missing"),
    /* types */
    BAD("{'hvcore-policy':^'1','arch':'riscv64'}", PARSE, "an integer must stand here"),
    BAD("{'hvcore-policy':^1.0,'arch':'riscv64'}", PARSE, "an integer must stand here"),
    BAD("{'hvcore-policy':^1e0,'arch':'riscv64'}", PARSE, "an integer must stand here"),
    BAD("{'hvcore-policy':^true,'arch':'riscv64'}", PARSE, "an integer must stand here"),
    BAD("{'hvcore-policy':^null,'arch':'riscv64'}", PARSE, "an integer must stand here"),
    BAD("{'hvcore-policy':1,'arch':^3}", PARSE, "At \"/arch\": a string must stand here"),
    BAD(TOP "'base':^null}", PARSE, "a string must stand here"),
    BAD(TOP "'allow_exit':^1}", PARSE, "true or false must stand here"),
    BAD(TOP "'allow_stop':^'true'}", PARSE, "true or false must stand here"),
    BAD(TOP "'comment':^['a']}", PARSE, "a string must stand here"),
    BAD(TOP "'rules':^{}}", PARSE, "an array must stand here"),
    BAD(TOP "'storm':^[]}", PARSE, "an object must stand here"),
    BAD(TOP "'storm':{'repeat':^2.5}}", PARSE, "At \"/storm/repeat\": an integer"),
    BAD(RULES("^[]"), PARSE, "At \"/rules/0\": an object must stand here"),
    BAD(RULES("^'redirect'"), PARSE, "an object must stand here"),
    BAD(RULES("{'cause':^'breakpoint','do':'redirect'}"), PARSE, "an array must stand here"),
    BAD(RULES("{'cause':[^null],'do':'redirect'}"), PARSE, "a name or a number"),
    BAD(RULES("{'cause':[^2.0],'do':'redirect'}"), PARSE, "At \"/rules/0/cause/0\": a name or"),
    BAD(RULES("{'cause':[^[2]],'do':'redirect'}"), PARSE, "a name or a number"),
    BAD(RULE("'count':^'yes'"), PARSE, "true or false must stand here"),
    BAD(RULE("'name':^7"), PARSE, "a string must stand here"),
    BAD(RULE("'late':^false"), PARSE, "a string or null must stand here"),
    BAD(RULE("'as':^null"), PARSE, "a name or a number must stand here"),
    BAD(RULE("'comment':^1"), PARSE, "a string must stand here"),
    BAD(DO("^null"), PARSE, "a string must stand here"),
    /* words and ranges */
    BAD("{'hvcore-policy':^2,'arch':'riscv64'}", PARSE, "version 1"),
    BAD("{'hvcore-policy':^-1,'arch':'riscv64'}", PARSE, "version 1"),
    BAD("{'hvcore-policy':^18446744073709551617,'arch':'riscv64'}", PARSE, "version 1"),
    BAD("{'hvcore-policy':1,'arch':^'arm64'}", PARSE, "\"arm64\" is not one of: riscv64"),
    BAD("{'hvcore-policy':1,'arch':^'RISCV64'}", PARSE, "is not one of: riscv64"),
    BAD(TOP "'base':^'linux'}", PARSE, "\"linux\" is not one of: linux-guest"),
    BAD(TOP "'on_unenforceable':^'ignore'}", PARSE, "is not one of: refuse, warn, redirect"),
    BAD(TOP "'firmware_honours_hedeleg':^'probe'}", PARSE, "is not one of: no, yes"),
    BAD(TOP "'storm':{'then':^'stop'}}", PARSE, "is not one of: exit, count"),
    BAD(TOP "'storm':{'repeat':^1}}", PARSE, "At \"/storm/repeat\": one trap is no storm"),
    BAD(TOP "'storm':{'repeat':^-5}}", PARSE, "not from 0 to 1000000"),
    BAD(TOP "'storm':{'repeat':^1000001}}", PARSE, "not from 0 to 1000000"),
    BAD(TOP "'storm':{'per_ms':^99999999999999999999999}}", PARSE, "not from 0 to 1000000"),
    BAD(TOP "'storm':{'per_ms':^-9223372036854775809}}", PARSE, "not from 0 to 1000000"),
    BAD(TOP "'storm':{'per_ms':^4294967296}}", PARSE, "not from 0 to 1000000"),
    BAD(DO("^'inject'"), PARSE, "is not one of: delegate, redirect, emulate, exit, stop"),
    BAD(DO("^'" X60 X60 "'"), PARSE, "At \"/rules/0/do\": \"xxx"),
    BAD(DO("'delegate','late':^'delegate'"), PARSE, "is not one of: redirect, emulate, exit, stop"),
    BAD(RULE("'from':^'HS'"), PARSE, "\"HS\" is not one of: VU, VS, any"),
    BAD(RULE("'as':^64"), PARSE, "not from 0 to 63"),
    BAD(RULE("'as':^'illegal'"), PARSE, "there is no cause \"illegal\""),
    BAD(RULE("'as':^'supervisor-expected'"), PARSE, "there is no cause"),
    BAD(RULE("'name':^'" X60 "1234'"), PARSE, "at most 63 bytes"),
    BAD(RULE("'name':^'a\\nb'"), PARSE, "control characters"),
    BAD(RULE("'name':^'\x7f'"), PARSE, "control characters"),
    BAD(RULES("{'cause':^[],'do':'redirect'}"), PARSE, "at least one cause"),
    BAD(RULES("{'cause':[2,^64],'do':'redirect'}"), PARSE, "At \"/rules/0/cause/1\": the number"),
    BAD(RULES("{'cause':[^-1],'do':'redirect'}"), PARSE, "not from 0 to 63"),
    BAD(RULES("{'cause':[^18446744073709551618],'do':'redirect'}"), PARSE, "not from 0 to 63"),
    BAD(RULES("{'cause':[^''],'do':'redirect'}"), PARSE, "there is no cause \"\""),
    BAD(RULES("{'cause':[^'Breakpoint'],'do':'redirect'}"), PARSE, "no cause \"Breakpoint\""),
    BAD(RULES("{'cause':['breakpoint',^3],'do':'redirect'}"), PARSE, "names this already"),
    BAD(RULES("{'cause':['supervisor-expected',^2],'do':'redirect'}"), PARSE, "names this already"),
    /* what a rule may not say: the position is that of the member at fault */
    BAD(RULES("{'do':'delegate','cause':^[20]}"), POLICY, "NOT_DELEGATABLE: rule 1, instr"),
    BAD(RULES("{'cause':^[14],'do':'redirect'}"), POLICY, "CAUSE_RANGE: rule 1, cause 14"),
    BAD(RULES("{'cause':^['ecall-vs'],'do':'emulate'}"), POLICY, "CAUSE_RANGE"),
    BAD(RULES("{'cause':^['double-trap'],'do':'redirect'}"), POLICY, "NOT_REDIRECTABLE"),
    BAD(RULE("'as':^'ecall-m'"), POLICY, "NOT_REDIRECTABLE"),
    BAD(RULE("'as':^17"), POLICY, "CAUSE_RANGE"),
    BAD(RULE("'late':^'redirect'"), POLICY, "USELESS_FALLBACK"),
    BAD(RULE("'late':^null"), POLICY, "USELESS_FALLBACK"),
    BAD(DO("'delegate','from':^'VU'"), POLICY, "DELEGATE_BY_MODE"),
    BAD(DO("'delegate','late':^null"), POLICY, "NO_FALLBACK"),
    BAD(DO("'delegate','late':^'exit'"), POLICY, "EXIT_NOT_ALLOWED"),
    BAD(DO("^'exit'"), POLICY, "EXIT_NOT_ALLOWED: rule 1, breakpoint:"),
    BAD(DO("^'stop','name':'end'"), POLICY, "GUEST_KILLABLE: rule 1 \"end\", breakpoint:"),
    BAD(DO("'emulate','count':^false"), POLICY, "USELESS_COUNT"),
    BAD(DO("'emulate','as':^2"), POLICY, "USELESS_AS"),
    BAD(RULES("{'cause':[2],'do':'redirect'},\n{'cause':^[2],'do':'redirect'}"), POLICY,
        "SHADOWED: rule 2"),
    BAD("{'rules':[{'cause':[2],'do':^'exit'}],'hvcore-policy':1,'arch':'riscv64'}", POLICY,
        "EXIT_NOT_ALLOWED"),
};

static void check_malformed(const malformed *row)
{
    document d = document_of(row->shape, row->len);
    hvcore_error e;
    hvcore_policy *p;
    uint32_t line, column;
    int rc = parse(&d, &p, &e);
    place_of(&d, d.mark, &line, &column);
    expect(rc == -row->code && e.code == rc, "%s: %d %s", row->shape, rc, e.message);
    expect(e.line == line && e.column == column, "%s: at %u:%u and not %u:%u, %s", row->shape,
           e.line, e.column, line, column, e.message);
    expect(strstr(e.message, row->message) != NULL, "%s: %s", row->shape, e.message);
    expect((e.rule != 0) == (row->code == HVCORE_E_POLICY), "%s: rule %u", row->shape, e.rule);
    expect_message(&e, row->code == HVCORE_E_POLICY ? "" : "At \"");
    CU_ASSERT_PTR_NULL(p);
    CU_ASSERT_EQUAL(hvcore_policy_from_json(d.text, d.len, &p, NULL), rc);
    free(d.text);
}

static void test_malformed(void)
{
    for (size_t i = 0; i < COUNT(bad); i++) {
        check_malformed(&bad[i]);
    }
    printf("%zu documents ", COUNT(bad));
}

/* --- bounds ----------------------------------------------------------------------------------- */

/* A document of `len` bytes, filled with blanks. */
static document padded(size_t len)
{
    static const char begins[] = "{\"hvcore-policy\":1,\n\"arch\":\"riscv64\"}";
    document d = {malloc(len), len, SIZE_MAX};
    if (!d.text) {
        exit(1);
    }
    memset(d.text, ' ', len);
    memcpy(d.text, begins, sizeof(begins) - 1);
    return d;
}

static void test_length(void)
{
    hvcore_policy *p;
    hvcore_error e;
    document d = padded(65536);
    expect(parse(&d, &p, &e) == 0, "%s", e.message);
    hvcore_policy_unref(p);
    free(d.text);
    d = padded(65537);
    CU_ASSERT_EQUAL(parse(&d, &p, &e), -HVCORE_E_LIMIT);
    CU_ASSERT_EQUAL(e.line, 2);
    CU_ASSERT_EQUAL(e.column, 65536 - 20 + 1);
    expect_message(&e, "At \"\": a policy has at most 65536 bytes");
    free(d.text);
}

/* `head`, then `each` n times with commas, then `tail`; %u in `each` is the number. */
static document repeated(const char *head, const char *each, unsigned n, const char *tail)
{
    size_t room = strlen(head) + n * (strlen(each) + 8) + strlen(tail) + 1, at;
    char *shape = malloc(room), one[128];
    if (!shape) {
        exit(1);
    }
    at = (size_t)snprintf(shape, room, "%s", head);
    for (unsigned i = 0; i < n; i++) {
        const char *number = strchr(each, '#');
        int before = (int)(number ? (size_t)(number - each) : strlen(each));
        snprintf(one, sizeof(one), "%.*s", before, each);
        at += (size_t)snprintf(shape + at, room - at, "%s%s", i ? "," : "", one);
        if (number) {
            at += (size_t)snprintf(shape + at, room - at, "%u%s", i, number + 1);
        }
    }
    at += (size_t)snprintf(shape + at, room - at, "%s", tail);
    document d = document_of(shape, at);
    free(shape);
    return d;
}

static int parse_and_free(document d, hvcore_error *e)
{
    hvcore_policy *p;
    int rc = parse(&d, &p, e);
    hvcore_policy_unref(p);
    free(d.text);
    return rc;
}

static void test_too_many(void)
{
    hvcore_error e;
    int rc = parse_and_free(repeated("{", "'k#':0", 33, "}"), &e);
    expect(rc == -HVCORE_E_LIMIT && e.column == 1 + 32 * 8 - 10 + 1, "%u %s", e.column, e.message);
    expect(strstr(e.message, "At \"/k32\": the object has more than 32") != NULL, "%s", e.message);
    rc = parse_and_free(repeated("{", "'k#':0", 32, "}"), &e);
    expect(rc == -HVCORE_E_PARSE, "%s", e.message);
    rc = parse_and_free(repeated(TOP "'rules':[", "{}", 257, "]}"), &e);
    expect(rc == -HVCORE_E_LIMIT, "%s", e.message);
    expect(e.column == strlen(TOP "'rules':[") + 256 * 3 + 1, "%u", e.column);
    expect_message(&e, "At \"/rules/256\": a policy has at most 256 rules");
    rc = parse_and_free(repeated(TOP "'rules':[", "{}", 256, "]}"), &e);
    expect(rc == -HVCORE_E_PARSE, "%s", e.message);
    rc = parse_and_free(repeated(TOP "'rules':[", "{'cause':[#],'do':'redirect'}", 9, "]}"), &e);
    expect(rc == 0, "%s", e.message);
}

static void test_depth(void)
{
    hvcore_error e;
    char shape[64];
    for (int depth = 1; depth <= 20; depth++) {
        snprintf(shape, sizeof(shape), "{'a':%.*s1%.*s}", depth - 1, "[[[[[[[[[[[[[[[[[[[[",
                 depth - 1, "]]]]]]]]]]]]]]]]]]]]");
        int rc = parse_and_free(document_of(shape, strlen(shape)), &e);
        expect(rc == (depth <= 8 ? -HVCORE_E_PARSE : -HVCORE_E_LIMIT), "depth %d: %d", depth, rc);
    }
}

static void test_arguments(void)
{
    hvcore_policy *p = (hvcore_policy *)&p;
    hvcore_error e = HVCORE_ERROR_INIT;
    CU_ASSERT_EQUAL(hvcore_policy_from_json(NULL, 5, &p, &e), -HVCORE_E_INVAL);
    CU_ASSERT_PTR_NULL(p);
    expect_message(&e, "");
    CU_ASSERT_EQUAL(hvcore_policy_from_json("{}", 2, NULL, &e), -HVCORE_E_INVAL);
    CU_ASSERT_EQUAL(hvcore_policy_from_json("", 0, &p, &e), -HVCORE_E_PARSE);
    CU_ASSERT_EQUAL(e.line, 1);
    CU_ASSERT_EQUAL(e.column, 1);
}

/* A record of an older program has no room for the message; whatever it has is right. */
static void test_small_record(void)
{
    hvcore_policy *p;
    hvcore_error e;
    memset(&e, 0x5a, sizeof(e));
    e.size = offsetof(hvcore_error, message);
    CU_ASSERT_EQUAL(hvcore_policy_from_json("{\n,", 3, &p, &e), -HVCORE_E_PARSE);
    CU_ASSERT_EQUAL(e.line, 2);
    CU_ASSERT_EQUAL(e.message[0], 0x5a);
    memset(&e, 0x5a, sizeof(e));
    e.size = 8;
    CU_ASSERT_EQUAL(hvcore_policy_from_json("{\n,", 3, &p, &e), -HVCORE_E_PARSE);
    CU_ASSERT_EQUAL(e.line, 0x5a5a5a5a);
}

/* --- valid documents -------------------------------------------------------------------------- */

typedef struct valid {
    const char *shape;
    hvcore_policy_opts opts;
    hvcore_trap_rule rule[4]; /* ends with act 0 */
} valid;

#define OPTS(...)                                                                    \
    {                                                                                \
        .size = sizeof(hvcore_policy_opts), .arch = HVCORE_ARCH_RISCV64, __VA_ARGS__ \
    }
#define STORM(...) .storm = {.size = sizeof(hvcore_storm_opts), __VA_ARGS__}
#define R(...)                                        \
    {                                                 \
        .size = sizeof(hvcore_trap_rule), __VA_ARGS__ \
    }

static const valid good[] = {
    {"{'hvcore-policy':1,'arch':'riscv64'}", OPTS(), {R()}},
    {" \r\n\t{ 'arch' : 'riscv64' ,\n'hvcore-policy' : 1 }\n\n", OPTS(), {R()}},
    {"{'\\u0061rch':'risc\\u007664','hvcore-policy':1}", OPTS(), {R()}},
    {TOP "'comment':'\\'\\\\\\/\\b\\f\\n\\r\\t \\ud83d\\ude00 \xf0\x9f\x98\x80 \xc3\xa4 \x7f'}",
     OPTS(),
     {R()}},
    {TOP "'base':'linux-guest','on_unenforceable':'warn','allow_exit':false,'rules':[]}",
     OPTS(.on_unenforceable = HVCORE_UNENFORCEABLE_WARN),
     {R()}},
    {TOP "'on_unenforceable':'redirect','firmware_honours_hedeleg':'no','allow_stop':true}",
     OPTS(.on_unenforceable = HVCORE_UNENFORCEABLE_REDIRECT, .allow_stop = 1),
     {R()}},
    {TOP "'on_unenforceable':'refuse','firmware_honours_hedeleg':'yes','allow_exit':true}",
     OPTS(.firmware_honours = HVCORE_FIRMWARE_YES, .allow_exit = 1),
     {R()}},
    {TOP "'storm':{}}", OPTS(STORM(.act = EXIT)), {R()}},
    {TOP "'storm':{'repeat':64,'per_ms':200,'then':'exit'}}",
     OPTS(STORM(.repeat = 64, .per_ms = 200, .act = EXIT)),
     {R()}},
    {TOP "'storm':{'repeat':0,'per_ms':-0,'then':'count'}}", OPTS(STORM(.act = NONE)), {R()}},
    {TOP "'storm':{'repeat':1000000,'per_ms':1000000}}",
     OPTS(STORM(.repeat = 1000000, .per_ms = 1000000, .act = EXIT)),
     {R()}},
    {RULES("{'name':'n\xc3\xa4me','comment':'c','cause':['illegal-instruction',4],'do':'redirect',"
           "'count':false}"),
     OPTS(),
     {R(.causes = BIT(2) | BIT(4), .act = REDIRECT, .flags = NO_COUNT, .name = "n\xc3\xa4me")}},
    {RULES("{'cause':['virtual-instruction'],'do':'redirect','as':0,'count':true,'from':'VU'},"
           "{'cause':[22],'do':'redirect','as':'breakpoint','from':'VS'}"),
     OPTS(),
     {R(.causes = BIT(22), .act = REDIRECT, .flags = AS, .as = 0, .from = HVCORE_FROM_VU),
      R(.causes = BIT(22), .act = REDIRECT, .flags = AS, .as = 3, .from = HVCORE_FROM_VS)}},
    {RULES("{'cause':['supervisor-unexpected'],'do':'delegate'},"
           "{'cause':['supervisor-expected','custom-24'],'do':'redirect','from':'any'}"),
     OPTS(),
     {R(.causes = UNEXPECTED, .act = DELEGATE), R(.causes = EXPECTED | BIT(24), .act = REDIRECT)}},
    {RULES("{'cause':[3],'do':'delegate','late':'emulate'},{'cause':[4],'do':'emulate'},"
           "{'cause':['double-trap','ecall-hs',11],'do':'exit'}"),
     OPTS(),
     {R(.causes = BIT(3), .act = DELEGATE, .late = EMULATE), R(.causes = BIT(4), .act = EMULATE),
      R(.causes = BIT(16) | BIT(9) | BIT(11), .act = EXIT)}},
    {"{'rules':[{'do':'stop','cause':[5]},{'do':'exit','cause':[2]},"
     "{'do':'delegate','cause':[3],'late':'stop'},{'late':null,'do':'delegate','cause':[8]}],"
     "'firmware_honours_hedeleg':'yes','allow_stop':true,'allow_exit':true,'hvcore-policy':1,"
     "'arch':'riscv64'}",
     OPTS(.firmware_honours = HVCORE_FIRMWARE_YES, .allow_exit = 1, .allow_stop = 1),
     {R(.causes = BIT(5), .act = STOP), R(.causes = BIT(2), .act = EXIT),
      R(.causes = BIT(3), .act = DELEGATE, .late = STOP),
      R(.causes = BIT(8), .act = DELEGATE, .late = DELEGATE)}},
};

static bool same_table(const hvc_policy_table *a, const hvc_policy_table *b)
{
    return !memcmp(a->action, b->action, sizeof(a->action)) && a->hedeleg == b->hedeleg &&
           a->storm.repeat == b->storm.repeat && a->storm.drain == b->storm.drain &&
           a->storm.capacity == b->storm.capacity && a->storm_act == b->storm_act;
}

/* On machines that can do much, little and nothing: the same code, and the same table. */
static void expect_same(hvcore_policy *a, hvcore_policy *b, const char *what)
{
    static const hvc_policy_facts machines[] = {
        {.arch = HVCORE_ARCH_RISCV64,
         .firmware_honours = 1,
         .delegatable = UINT64_MAX,
         .emulators = UINT64_MAX},
        {.arch = HVCORE_ARCH_RISCV64,
         .delegatable = QEMU_DELEGATABLE,
         .intercept = BIT(3),
         .emulators = EMULATORS,
         .double_trap = 1},
        {.arch = HVCORE_ARCH_RISCV64},
    };
    for (size_t i = 0; i < COUNT(machines); i++) {
        hvc_policy_table ta, tb;
        int ra = hvc_policy_compile(a, &machines[i], &ta, NULL, NULL);
        int rb = hvc_policy_compile(b, &machines[i], &tb, NULL, NULL);
        expect(ra == rb && (ra || same_table(&ta, &tb)), "%s: differs on machine %zu, %d %d", what,
               i, ra, rb);
    }
}

static hvcore_policy *built(const valid *row)
{
    hvcore_policy *p = policy_with(row->opts);
    for (size_t i = 0; i < COUNT(row->rule) && row->rule[i].act; i++) {
        add(p, row->rule[i]);
    }
    return p;
}

static void check_valid(const valid *row)
{
    document d = document_of(row->shape, strlen(row->shape));
    hvcore_error e;
    hvcore_policy *p, *q = built(row);
    expect(parse(&d, &p, &e) == 0, "%s: %u:%u %s", row->shape, e.line, e.column, e.message);
    if (p) {
        CU_ASSERT_EQUAL(p->count, q->count);
        for (uint32_t i = 0; i < p->count && i < q->count; i++) {
            CU_ASSERT_STRING_EQUAL(p->rule[i].name, q->rule[i].name);
        }
        CU_ASSERT_EQUAL(p->on_unenforceable, q->on_unenforceable);
        expect_same(p, q, row->shape);
    }
    hvcore_policy_unref(p);
    hvcore_policy_unref(q);
    free(d.text);
}

static void test_valid(void)
{
    for (size_t i = 0; i < COUNT(good); i++) {
        check_valid(&good[i]);
    }
}

/* --- examples --------------------------------------------------------------------------------- */

static document document_from(const char *name)
{
    char path[4096];
    document d = {malloc(65536), 0, SIZE_MAX};
    snprintf(path, sizeof(path), "%s/../../examples/policies/%s", HVC_VECTORS_DIR, name);
    FILE *f = fopen(path, "rb");
    if (!f || !d.text) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
    d.len = fread(d.text, 1, 65536, f);
    fclose(f);
    return d;
}

static hvcore_policy *example(const char *name)
{
    document d = document_from(name);
    hvcore_error e;
    hvcore_policy *p;
    expect(parse(&d, &p, &e) == 0, "%s:%u:%u: %s", name, e.line, e.column, e.message);
    free(d.text);
    return p ? p : policy_with(options());
}

/* Rules have numbers, the base has none: that is all the difference there may be. */
static void test_example_linux_guest(void)
{
    static const uint64_t machines[] = {ARCH_DELEGATABLE, QEMU_DELEGATABLE, BIT(8), 0};
    for (size_t i = 0; i < COUNT(machines); i++) {
        hvc_policy_facts f = machine();
        f.delegatable = machines[i];
        hvc_policy_table spelled = table_of(example("linux-guest.json"), f);
        hvc_policy_table base = table_of(policy_with(options()), f);
        for (unsigned cls = 0; cls < 64; cls++) {
            bool named = hvc_riscv64_causes[cls].name && cls < 24 && cls != 10;
            expect(!spelled.action[0][cls].rule == !named, "cause %u is not spelled out", cls);
            spelled.action[0][cls].rule = spelled.action[1][cls].rule = 0;
        }
        expect(same_table(&spelled, &base), "machine %zu", i);
    }
}

static void test_example_others(void)
{
    hvc_policy_table t = table_of(example("count-everything.json"), machine());
    CU_ASSERT_EQUAL(t.hedeleg, 0);
    for (unsigned cls = 0; cls < 21; cls++) {
        if ((ARCH_DELEGATABLE | BIT(20)) & BIT(cls)) {
            CU_ASSERT_EQUAL(t.action[0][cls].act, REDIRECT);
            CU_ASSERT_EQUAL(t.action[1][cls].count, 1);
            CU_ASSERT_EQUAL(t.action[1][cls].late, 0);
        }
    }
    CU_ASSERT_EQUAL(t.action[1][22].act, EMULATE);
    t = table_of(example("delegate-all.json"), machine());
    CU_ASSERT_EQUAL(t.hedeleg, ARCH_DELEGATABLE);
    hvc_policy_facts f = machine();
    f.delegatable = QEMU_DELEGATABLE;
    t = table_of(example("delegate-all.json"), f);
    CU_ASSERT_EQUAL(t.hedeleg, QEMU_DELEGATABLE);
}

/* --- the manual ------------------------------------------------------------------------------- */

/* The text between a line `fence` and the next ```; `*at` goes behind it. NULL: no more. */
static char *next_block(char **at, const char *fence, char **end)
{
    char *begin = strstr(*at, fence);
    if (!begin) {
        return NULL;
    }
    begin += strlen(fence);
    *end = strstr(begin, "\n```");
    CU_ASSERT_PTR_NOT_NULL_FATAL(*end);
    *at = *end + 4;
    return begin;
}

static char *manual(void)
{
    document d = document_from("../../docs/policy.md");
    d.text = realloc(d.text, d.len + 1);
    d.text[d.len] = 0;
    return d.text;
}

static void test_manual_examples(void)
{
    char *text = manual(), *at = text, *end, *begin;
    int n = 0;
    while ((begin = next_block(&at, "\n```json\n", &end))) {
        hvcore_error e = HVCORE_ERROR_INIT;
        hvcore_policy *p;
        int rc = hvcore_policy_from_json(begin, (size_t)(end - begin), &p, &e);
        expect(rc == 0, "%.*s: %s", (int)(end - begin), begin, e.message);
        hvcore_policy_unref(p);
        n++;
    }
    CU_ASSERT_EQUAL(n, 3);
    free(text);
}

/* After a refused document stands what is said to it: line:column: message. */
static void test_manual_errors(void)
{
    char *text = manual(), *at = text, *end, *begin, said[320];
    int n = 0;
    while ((begin = next_block(&at, "\n```json refused\n", &end))) {
        hvcore_error e = HVCORE_ERROR_INIT;
        hvcore_policy *p;
        CU_ASSERT_NOT_EQUAL(hvcore_policy_from_json(begin, (size_t)(end - begin), &p, &e), 0);
        begin = next_block(&at, "\n```\n", &end);
        CU_ASSERT_PTR_NOT_NULL_FATAL(begin);
        snprintf(said, sizeof(said), "%u:%u: %s", e.line, e.column, e.message);
        *end = 0;
        expect(!strcmp(said, begin), "%s, not %s", said, begin);
        n++;
    }
    CU_ASSERT_EQUAL(n, 3);
    free(text);
}

/* --- short of memory -------------------------------------------------------------------------- */

static const char starved[] = RULES(
    "{'name':'a name that is longer than thirty-two bytes, as buffers are','cause':"
    "['supervisor-expected','load-misaligned'],'do':'delegate','late':'redirect','comment':'" X60
        X60 "'},"
    "{'cause':[5],'do':'redirect','count':false},{'cause':[6],'do':'redirect'},{'cause':[7],'do':'"
    "emulate'},"
    "{'cause':[20],'do':'redirect'},{'cause':[21],'do':'emulate'},{'cause':[22],'do':'emulate'},"
    "{'cause':[23],'do':'emulate'},{'cause':[1],'do':'redirect'},{'cause':[0],'do':'redirect'}");

static bool starve_parse(const document *d, long after, const char **problem)
{
    hvcore_error e;
    hvcore_policy *p;
    long before = live;
    failed = false;
    fail_after = after;
    int rc = parse(d, &p, &e);
    fail_after = -1;
    if (rc != (failed ? -HVCORE_E_NOMEM : 0)) {
        *problem = "another code than E_NOMEM";
    } else if (!rc && p->count != 10) {
        *problem = "a rule is lost";
    } else if (rc && e.message[strlen(e.message) - 1] != '.') {
        *problem = "no sentence";
    }
    hvcore_policy_unref(p);
    if (live != before) {
        *problem = "something is not freed";
    }
    return failed;
}

static long starve(bool once)
{
    document d = document_of(starved, sizeof(starved) - 1);
    const char *problem = NULL;
    long n = 0;
    fail_once = once;
    while (starve_parse(&d, n, &problem) && n < 100000) {
        expect(!problem, "allocation %ld: %s", n, problem ? problem : "");
        n++;
    }
    expect(!problem && n >= 3, "%ld: %s", n, problem ? problem : "");
    free(d.text);
    return n;
}

/* Each allocation fails by itself, and each with all that follow it. */
static void test_no_memory_for_text(void)
{
    long n = starve(false);
    CU_ASSERT_EQUAL(starve(true), n);
    printf("%ld allocations%s ", n, OWN_MALLOC ? "" : " (json-c's not counted under a sanitizer)");
}

static void test_no_memory_for_compile(void)
{
    hvcore_policy *p = policy_with(options());
    hvc_policy_facts f = machine();
    hvc_policy_table t;
    hvcore_report *report = (hvcore_report *)p;
    hvcore_error e = HVCORE_ERROR_INIT;
    fail_once = false;
    fail_after = 0;
    CU_ASSERT_EQUAL(hvc_policy_compile(p, &f, &t, &report, &e), -HVCORE_E_NOMEM);
    fail_after = -1;
    CU_ASSERT_PTR_NULL(report);
    expect_message(&e, "");
    CU_ASSERT_EQUAL(hvc_policy_compile(p, &f, &t, NULL, NULL), 0);
    hvcore_policy_unref(p);
}

/* --- mutations -------------------------------------------------------------------------------- */

static uint64_t seed;

static uint64_t rnd(void)
{
    return hvc_random(&seed);
}

static size_t below(size_t n)
{
    return n ? (size_t)(rnd() % n) : 0;
}

static const char *const tokens[] = {"{",
                                     "}",
                                     "[",
                                     "]",
                                     ",",
                                     ":",
                                     "\"",
                                     "\"rules\"",
                                     "\"cause\"",
                                     "\"late\"",
                                     "\"as\"",
                                     "null",
                                     "true",
                                     "-1",
                                     "1e9",
                                     "64",
                                     "\\u0000",
                                     "\\ud800",
                                     "\"from\"",
                                     "\"VU\"",
                                     "\"exit\"",
                                     "\"stop\"",
                                     "\"delegate\"",
                                     "\n",
                                     "\"comment\":\"\",",
                                     "[[[[[[[[[",
                                     "99999999999999999999"};

/* Put `n` bytes at `at` in place of `cut` ones. */
static void splice(char *text, size_t *len, size_t room, size_t at, size_t cut, const char *in,
                   size_t n)
{
    if (*len - cut + n > room) {
        return;
    }
    memmove(text + at + n, text + at + cut, *len - at - cut);
    memcpy(text + at, in, n);
    *len = *len - cut + n;
}

static void mutate(char *text, size_t *len, size_t room)
{
    size_t at = below(*len), cut = below(*len - at < 9 ? *len - at : 9);
    const char *token = tokens[below(COUNT(tokens))];
    char copy[64], byte = (char)rnd();
    size_t from = below(*len), n = below(*len - from < 64 ? *len - from : 64);
    memcpy(copy, text + from, n);
    switch (rnd() % 5) {
    case 0:
        splice(text, len, room, at, *len ? 1 : 0, &byte, 1);
        break;
    case 1:
        splice(text, len, room, at, cut, "", 0);
        break;
    case 2:
        splice(text, len, room, at, cut, token, strlen(token));
        break;
    case 3:
        splice(text, len, room, at, 0, copy, n);
        break;
    default:
        *len = rnd() % 8 ? *len : at;
    }
}

static bool code_is_known(int rc)
{
    return rc == 0 || rc == -HVCORE_E_PARSE || rc == -HVCORE_E_POLICY || rc == -HVCORE_E_LIMIT;
}

static bool sentence_is_whole(const hvcore_error *e)
{
    size_t n = strnlen(e->message, sizeof(e->message));
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)e->message[i];
        if (c < 0x20 || c == 0x7f) {
            return false;
        }
    }
    return n && n < sizeof(e->message) && e->message[n - 1] == '.' && e->line && e->column;
}

/* The text as the parser sees it, in exactly as many bytes. */
static int try_text(const char *text, size_t len, bool *fine)
{
    document d = {malloc(len ? len : 1), len, SIZE_MAX};
    hvcore_error e;
    hvcore_policy *p;
    memcpy(d.text, text, len);
    int rc = parse(&d, &p, &e);
    *fine = code_is_known(rc) && (rc ? !p && sentence_is_whole(&e) : p != NULL);
    if (!*fine) {
        printf("\n    %d at %u:%u: %s\n    %.*s\n", rc, e.line, e.column, e.message, (int)len,
               text);
    }
    hvcore_policy_unref(p);
    free(d.text);
    return rc;
}

static void load_seed_text(char *text, size_t *len)
{
    static const char *const names[] = {"linux-guest.json", "count-everything.json",
                                        "delegate-all.json"};
    size_t pick = below(COUNT(good) + COUNT(names));
    document d = pick < COUNT(good) ? document_of(good[pick].shape, strlen(good[pick].shape))
                                    : document_from(names[pick - COUNT(good)]);
    memcpy(text, d.text, d.len);
    *len = d.len;
    free(d.text);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void test_mutations(void)
{
    static char text[8192];
    double end = seconds() + 1;
    unsigned long tried = 0, accepted = 0;
    bool fine = true;
    seed = (uint64_t)time(NULL);
    printf("seed %llu, ", (unsigned long long)seed);
    while (fine && seconds() < end) {
        size_t len;
        load_seed_text(text, &len);
        for (size_t n = below(12) + 1; fine && n; n--) {
            mutate(text, &len, sizeof(text));
            accepted += try_text(text, len, &fine) == 0;
            tried++;
        }
    }
    CU_ASSERT_TRUE(fine);
    CU_ASSERT_TRUE(accepted > 0);
    printf("%lu texts, %lu accepted ", tried, accepted);
}

/* Every beginning of a valid text is one that ends too early, and says so at its end. */
static void test_truncation(void)
{
    document d = document_from("linux-guest.json");
    size_t end = d.len;
    while (end && d.text[end - 1] != '}') {
        end--;
    }
    for (size_t len = 0; len < end; len++) {
        document cut = {malloc(len + 1), len, SIZE_MAX};
        hvcore_error e;
        hvcore_policy *p;
        uint32_t line, column;
        memcpy(cut.text, d.text, len);
        int rc = parse(&cut, &p, &e);
        place_of(&cut, len, &line, &column);
        expect(rc == -HVCORE_E_PARSE, "%zu bytes: %d", len, rc);
        expect(e.line == line && e.column <= column, "%zu bytes: %u:%u", len, e.line, e.column);
        free(cut.text);
    }
    free(d.text);
}

int main(void)
{
    static const hvc_unit_test tests[] = {
        {"malformed documents", test_malformed},
        {"length", test_length},
        {"too many", test_too_many},
        {"depth", test_depth},
        {"arguments", test_arguments},
        {"small error record", test_small_record},
        {"valid documents", test_valid},
        {"example linux-guest is the base", test_example_linux_guest},
        {"other examples", test_example_others},
        {"examples of the manual", test_manual_examples},
        {"errors of the manual", test_manual_errors},
        {"no memory for a text", test_no_memory_for_text},
        {"no memory to compile", test_no_memory_for_compile},
        {"truncation", test_truncation},
        {"mutations", test_mutations},
        {NULL, NULL},
    };
    return hvc_unit_main("policy_json", tests);
}
