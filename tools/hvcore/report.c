/* SPDX-License-Identifier: Apache-2.0 */
/* Reports: what a policy comes to here, for people and for programs. */
#include <json.h>

#include "cli.h"
#include "table.h"

static const char *const from_names[] = {"any", "VU", "VS", "any"};
static const char *const act_names[] = {"-", "delegate", "redirect", "emulate", "exit", "stop"};
static const char *const by_names[] = {"nobody", "library", "hardware", "kernel"};

#define NAME(names, i) ((i) < sizeof(names) / sizeof *(names) ? (names)[i] : "?")

static void add_action(struct table *t, const hvcore_report_item *item)
{
    const char *act = NAME(act_names, item->act);

    if (item->act == HVCORE_DO_REDIRECT && item->as != item->cls)
        table_add(t, "%s as %s", act, cli_cause_name(item->as));
    else
        table_add(t, "%s", act);
}

static void add_item(struct table *t, const hvcore_report_item *item)
{
    table_add(t, "%u", item->cls);
    table_add(t, "%s", item->cause);
    table_add(t, "%s", NAME(from_names, item->from));
    add_action(t, item);
    table_add(t, "%s", NAME(by_names, item->enforcer));
    if (item->rule)
        table_add(t, "rule %u", item->rule);
    else
        table_add(t, "base");
    table_add(t, "%s", item->why);
}

void policy_report_print(FILE *out, const hvcore_report *report)
{
    static const struct table_column columns[] = {
        {"#", true},   {"cause", false}, {"from", false}, {"action", false},
        {"by", false}, {"says", false},  {"why", false},
    };
    hvcore_report_item item = HVCORE_REPORT_ITEM_INIT;
    struct table t;

    table_begin(&t, columns, sizeof columns / sizeof *columns);
    for (uint32_t i = 0; hvcore_report_item_get(report, i, &item) == 0; i++)
        add_item(&t, &item);
    table_print(&t, out);
    table_end(&t);
}

/* How many causes have which enforcer, as half a sentence. */
void policy_report_sum(const hvcore_report *report, char *line, size_t size)
{
    hvcore_report_item item = HVCORE_REPORT_ITEM_INIT;
    uint64_t by[4] = {0};
    int n;

    for (uint32_t i = 0; hvcore_report_item_get(report, i, &item) == 0; i++)
        if (item.enforcer < 4)
            by[item.enforcer] |= UINT64_C(1) << (item.cls & 63);
    n = snprintf(line, size, "%d causes by hardware, %d by the library, %d by nobody",
                 __builtin_popcountll(by[HVCORE_BY_HARDWARE]),
                 __builtin_popcountll(by[HVCORE_BY_LIBRARY]),
                 __builtin_popcountll(by[HVCORE_BY_NOBODY]));
    if (by[HVCORE_BY_KERNEL] && n > 0 && (size_t)n < size)
        snprintf(line + n, size - (size_t)n, ", %d by the kernel below",
                 __builtin_popcountll(by[HVCORE_BY_KERNEL]));
}

/* --- for programs ---------------------------------------------------------------------------- */

static struct json_object *json_item(const hvcore_report_item *item)
{
    struct json_object *o = json_object_new_object();

    json_object_object_add(o, "number", json_object_new_int64(item->cls));
    json_object_object_add(o, "cause", json_object_new_string(item->cause));
    json_object_object_add(o, "from", json_object_new_string(NAME(from_names, item->from)));
    json_object_object_add(o, "action", json_object_new_string(NAME(act_names, item->act)));
    json_object_object_add(o, "as", json_object_new_int64(item->as));
    json_object_object_add(o, "by", json_object_new_string(NAME(by_names, item->enforcer)));
    json_object_object_add(o, "rule", json_object_new_int64(item->rule));
    json_object_object_add(o, "why", json_object_new_string(item->why));
    return o;
}

struct json_object *policy_report_json(const hvcore_report *report)
{
    hvcore_report_item item = HVCORE_REPORT_ITEM_INIT;
    struct json_object *list = json_object_new_array();

    for (uint32_t i = 0; hvcore_report_item_get(report, i, &item) == 0; i++)
        json_object_array_add(list, json_item(&item));
    return list;
}

/* Takes the object. */
int cli_print_json(struct json_object *o)
{
    const char *text = json_object_to_json_string_ext(
        o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE);
    int rc = text ? puts(text) : -1;

    json_object_put(o);
    return rc < 0 ? cli_system("no output") : CLI_OK;
}
