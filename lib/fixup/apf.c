/* SPDX-License-Identifier: Apache-2.0 */
/* The tokens of one vCPU, from the fault to the guest's acknowledgement. */
#include <stdbool.h>

#include <hvcore/error.h>
#include <hvcore/fixup/apf.h>

#define NONE UINT32_MAX
#define PAGE_MASK (~UINT64_C(0xfff))

/* What the caller of hvcore_apf_fault() may say; the rest is known here. */
#define CALLERS_FACTS                                                                      \
    (~(uint32_t)(HVCORE_APF_FACT_ENABLED | HVCORE_APF_FACT_AREA_OK | HVCORE_APF_FACT_DUP | \
                 HVCORE_APF_FACT_NP_BUSY | HVCORE_APF_FACT_SEND_ALWAYS |                   \
                 HVCORE_APF_FACT_NESTED_OPTIN))

/* --- requests --------------------------------------------------------------------------------- */

static hvcore_apf_request *ask(hvcore_apf_requests *requests, uint32_t kind)
{
    hvcore_apf_request *request = &requests->list[requests->count++];

    *request = (hvcore_apf_request){.kind = kind};
    return request;
}

static void put(hvcore_apf_request *request, uint64_t value, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        request->bytes[request->len++] = (uint8_t)(value >> 8 * i);
    }
}

static hvcore_apf_request *ask_write(hvcore_apf_requests *requests, uint32_t off)
{
    hvcore_apf_request *request = ask(requests, HVCORE_APF_WRITE);

    request->off = off;
    return request;
}

static void ask_word(hvcore_apf_requests *requests, uint32_t off, uint32_t value)
{
    put(ask_write(requests, off), value, 4);
}

static void ask_np_state(const hvcore_apf_state *s, hvcore_apf_requests *requests, uint32_t value)
{
    ask_word(requests, s->layout.h0 + HVCORE_APF_H0_NP_STATE, value);
}

static void ask_raise(hvcore_apf_state *s, hvcore_apf_requests *requests)
{
    s->interrupts++;
    ask(requests, HVCORE_APF_RAISE);
}

static uint32_t log2_of(uint32_t power)
{
    uint32_t n = 0;

    while (power >> (n + 1)) {
        n++;
    }
    return n;
}

/* h0 and h1 as they are while no not-present is shown. */
static void ask_header(const hvcore_apf_state *s, hvcore_apf_requests *requests)
{
    hvcore_apf_request *h0 = ask_write(requests, s->layout.h0), *h1;

    put(h0, HVCORE_APF_MAGIC, 4);
    put(h0, HVCORE_APF_ABI_VERSION, 4); /* u16 minor, u16 major */
    put(h0, log2_of(s->config.stride), 4);
    put(h0, s->config.nslots, 4);
    put(h0, 0, 8); /* np_state, np_token */
    put(h0, 0, 8); /* np_ipa */
    put(h0, s->np_seq, 4);
    put(h0, 0, 4); /* np_flags */
    h1 = ask_write(requests, s->layout.h1);
    put(h1, s->prod, 4);
    put(h1, s->layout.cap, 4);
    put(h1, s->broadcast, 4);
}

/* --- slots ------------------------------------------------------------------------------------ */

static bool is_live(const hvcore_apf_state *s)
{
    return s->enabled && s->area_ok;
}

/* The slot of a token of this epoch that is in use, or NONE. */
static uint32_t find(const hvcore_apf_state *s, uint32_t token)
{
    hvcore_apf_token t = hvcore_apf_token_split(token);

    if (t.slot >= s->config.nslots || t.epoch != s->epoch) {
        return NONE;
    }
    return s->slots[t.slot].state != HVCORE_APF_FREE && s->slots[t.slot].seq == t.seq ? t.slot
                                                                                      : NONE;
}

/* What was posted does not count: the guest may know already that the page was there. */
static bool is_waiting_for(const hvcore_apf_slot *slot, uint64_t page)
{
    bool waits = slot->state == HVCORE_APF_QUEUED || slot->state == HVCORE_APF_NOTIFIED ||
                 (slot->state == HVCORE_APF_COMPLETED && slot->held);

    return waits && slot->page == page;
}

static bool has_token(const hvcore_apf_state *s, uint64_t page)
{
    uint32_t left = s->outstanding;

    for (uint32_t i = 0; left && i < s->config.nslots; i++) {
        if (is_waiting_for(&s->slots[i], page)) {
            return true;
        }
        left -= s->slots[i].state != HVCORE_APF_FREE;
    }
    return false;
}

static void free_slot(hvcore_apf_state *s, uint32_t i)
{
    s->slots[i] = (hvcore_apf_slot){.seq = (uint16_t)(s->slots[i].seq + 1)};
    s->outstanding--;
}

/* All tokens die, and no message about one of them means anything any more. */
static uint32_t drop_all(hvcore_apf_state *s)
{
    uint32_t dropped = s->outstanding;

    for (uint32_t i = 0; i < s->config.nslots; i++) {
        if (s->slots[i].state != HVCORE_APF_FREE) {
            free_slot(s, i);
        }
    }
    s->np_pending = 0;
    s->hcons = s->prod;
    s->epoch = (s->epoch + 1) & 0xff;
    return dropped;
}

/* The guest says that it has consumed up to cons. What it may free is what was posted. */
static bool advance(hvcore_apf_state *s, uint32_t cons, uint32_t *freed)
{
    *freed = 0;
    if (cons - s->hcons > s->prod - s->hcons) {
        s->bad_cons++;
        return false;
    }
    for (; s->hcons != cons; s->hcons++) {
        uint32_t i = find(s, s->ring[s->hcons & (s->layout.cap - 1)]);

        if (i != NONE && s->slots[i].state == HVCORE_APF_COMPLETED) {
            free_slot(s, i);
            ++*freed;
        }
    }
    return true;
}

/* Ring, release, prod, barrier, cons: the guest does it the other way round, so that one of the two
 * sees the other. */
static void post(hvcore_apf_state *s, uint32_t i, hvcore_apf_requests *requests)
{
    uint32_t at = s->prod & (s->layout.cap - 1);
    hvcore_apf_request *check;

    s->slots[i].held = 0;
    s->ring[at] = hvcore_apf_token_make(s->epoch, s->slots[i].seq, i);
    ask_word(requests, s->layout.ring + 4 * at, s->ring[at]);
    ask_word(requests, s->layout.h1 + HVCORE_APF_H1_PROD, s->prod + 1);
    check = ask(requests, HVCORE_APF_CHECK);
    check->off = s->layout.g0 + HVCORE_APF_G0_CONS;
    check->len = 4;
    check->token = s->prod++;
}

uint32_t hvcore_apf_wants_interrupt(hvcore_apf_state *s, uint32_t before, uint32_t cons)
{
    uint32_t lag = before - cons;
    bool raise = lag == 0 || lag > s->layout.cap;

    s->interrupts += raise;
    s->bad_cons += lag > s->layout.cap;
    return raise;
}

/* --- life ------------------------------------------------------------------------------------- */

static bool is_arch(uint32_t arch)
{
    return arch == HVCORE_ARCH_ARM64 || arch == HVCORE_ARCH_RISCV64 || arch == HVCORE_ARCH_X86_64;
}

int hvcore_apf_init(hvcore_apf_state *s, const hvcore_apf_config *config)
{
    hvcore_apf_layout layout;

    if (config->size != sizeof *config || !is_arch(config->arch) ||
        config->mode > HVCORE_APF_MODE_IRQ ||
        hvcore_apf_layout_make(config->stride, config->nslots, &layout) != 0) {
        return -HVCORE_E_INVAL;
    }
    *s = (hvcore_apf_state){
        .size = sizeof *s,
        .version = HVCORE_APF_STATE_VERSION,
        .config = *config,
        .layout = layout,
    };
    return 0;
}

static bool is_area(const hvcore_apf_layout *layout, uint64_t gpa)
{
    return (gpa & (layout->align - 1)) == 0 && gpa <= UINT64_MAX - (layout->size - 1);
}

static bool are_flags(uint64_t flags)
{
    return flags & HVCORE_APF_FLAG_ON && (flags & ~(uint64_t)HVCORE_APF_FLAGS) == 0;
}

static void start(hvcore_apf_state *s, uint64_t gpa, uint64_t select, uint64_t compare)
{
    drop_all(s);
    s->enabled = 1;
    s->area_ok = 1;
    s->gpa = gpa;
    s->select = select;
    s->compare = compare;
    s->prod = 0;
    s->hcons = 0;
    s->broadcast++;
}

int32_t hvcore_apf_enable(hvcore_apf_state *s, uint64_t gpa, uint64_t flags, uint64_t select,
                          uint64_t compare, uint32_t area_usable, hvcore_apf_requests *requests)
{
    requests->count = 0;
    if (!are_flags(flags) || !is_area(&s->layout, gpa) || !area_usable) {
        return HVCORE_APF_INVALID;
    }
    if (is_live(s)) {
        return HVCORE_APF_NOT_REQUIRED;
    }
    start(s, gpa, select, compare);
    s->flags = (uint32_t)flags;
    ask_header(s, requests);
    ask_raise(s, requests);
    return HVCORE_APF_STATUS_OK;
}

int32_t hvcore_apf_disable(hvcore_apf_state *s, uint32_t *dropped, hvcore_apf_requests *requests)
{
    requests->count = 0;
    *dropped = 0;
    if (!s->enabled) {
        return HVCORE_APF_NOT_REQUIRED;
    }
    *dropped = drop_all(s);
    if (s->area_ok) {
        ask_np_state(s, requests, 0);
        ask(requests, HVCORE_APF_RELEASE);
    }
    s->enabled = 0;
    s->area_ok = 0;
    return HVCORE_APF_STATUS_OK;
}

static void ask_broadcast(hvcore_apf_state *s, hvcore_apf_requests *requests)
{
    s->broadcast++;
    ask_word(requests, s->layout.h1 + HVCORE_APF_H1_BROADCAST, s->broadcast);
}

void hvcore_apf_broadcast(hvcore_apf_state *s, hvcore_apf_requests *requests)
{
    requests->count = 0;
    if (is_live(s)) {
        ask_broadcast(s, requests);
        ask_raise(s, requests);
    }
}

uint32_t hvcore_apf_revoke(hvcore_apf_state *s, uint32_t writable, hvcore_apf_requests *requests)
{
    requests->count = 0;
    if (!is_live(s)) {
        return 0;
    }
    if (writable) {
        ask_np_state(s, requests, 0);
        ask_broadcast(s, requests);
    }
    ask_raise(s, requests);
    ask(requests, HVCORE_APF_RELEASE);
    s->area_ok = 0;
    return drop_all(s);
}

uint32_t hvcore_apf_reset(hvcore_apf_state *s, hvcore_apf_requests *requests)
{
    requests->count = 0;
    if (is_live(s)) {
        ask(requests, HVCORE_APF_RELEASE);
    }
    s->enabled = 0;
    s->area_ok = 0;
    s->gpa = 0;
    s->flags = 0;
    s->select = 0;
    s->compare = 0;
    s->np_busy = 0;
    s->np_token = 0;
    return drop_all(s);
}

/* --- a fault, and what the guest sees of it --------------------------------------------------- */

static bool is_in_own_area(const hvcore_apf_state *s, uint64_t ipa)
{
    return is_live(s) && ipa - s->gpa < s->layout.size;
}

static uint32_t own_facts(const hvcore_apf_state *s, uint64_t page)
{
    bool busy = s->np_busy || s->np_pending;

    return (s->enabled ? HVCORE_APF_FACT_ENABLED : 0u) |
           (s->area_ok ? HVCORE_APF_FACT_AREA_OK : 0u) |
           (is_in_own_area(s, page) ? HVCORE_APF_FACT_IN_AREA : 0u) |
           (has_token(s, page) ? HVCORE_APF_FACT_DUP : 0u) | (busy ? HVCORE_APF_FACT_NP_BUSY : 0u) |
           (s->flags & HVCORE_APF_FLAG_SEND_ALWAYS ? HVCORE_APF_FACT_SEND_ALWAYS : 0u) |
           (s->flags & HVCORE_APF_FLAG_NESTED ? HVCORE_APF_FACT_NESTED_OPTIN : 0u);
}

static uint32_t facts_of(const hvcore_apf_state *s, const hvcore_apf_fault_info *info)
{
    uint32_t facts = (info->facts & CALLERS_FACTS) | own_facts(s, info->ipa & PAGE_MASK);

    if (s->outstanding >= s->config.nslots) {
        facts &= ~(uint32_t)HVCORE_APF_FACT_TOKEN_FREE;
    }
    return is_live(s) && info->guest_flags & 1 ? facts | HVCORE_APF_FACT_INHIBIT : facts;
}

static hvcore_apf_gate question(const hvcore_apf_state *s, const hvcore_apf_fault_info *info)
{
    return (hvcore_apf_gate){
        .facts = facts_of(s, info),
        .mode = (uint16_t)s->config.mode,
        .arch = (uint16_t)s->config.arch,
        .pstate = info->pstate,
        .select = s->select,
        .compare = s->compare,
    };
}

/* The next free slot in turn, so that a slot's sequence numbers last long. There is one. */
static uint32_t free_one(hvcore_apf_state *s)
{
    uint32_t i = s->next;

    for (uint32_t n = 0; n < s->config.nslots && s->slots[i].state != HVCORE_APF_FREE; n++) {
        i = i + 1 < s->config.nslots ? i + 1 : 0;
    }
    s->next = i + 1 < s->config.nslots ? i + 1 : 0;
    return i;
}

static uint32_t queue(hvcore_apf_state *s, const hvcore_apf_fault_info *info)
{
    uint32_t i = free_one(s);
    hvcore_apf_slot *slot = &s->slots[i];

    slot->state = HVCORE_APF_QUEUED;
    slot->page = info->ipa & PAGE_MASK;
    slot->np_flags = info->np_flags & HVCORE_APF_NP_FLAGS;
    s->outstanding++;
    s->np_pending = hvcore_apf_token_make(s->epoch, slot->seq, i);
    return s->np_pending;
}

static void ask_job(uint64_t ipa, uint32_t token, hvcore_apf_requests *requests)
{
    hvcore_apf_request *job = ask(requests, HVCORE_APF_JOB);

    job->ipa = ipa & PAGE_MASK;
    job->token = token;
}

hvcore_apf_verdict hvcore_apf_fault(hvcore_apf_state *s, const hvcore_apf_fault_info *info,
                                    hvcore_apf_requests *requests)
{
    hvcore_apf_gate gate;
    hvcore_apf_verdict verdict;
    uint32_t freed, token = 0;

    requests->count = 0;
    if (is_live(s)) {
        (void)advance(s, info->cons, &freed); /* what cannot be true is not believed */
    }
    gate = question(s, info);
    verdict = hvcore_apf_gate_decide(&gate);
    s->reasons[verdict.reason]++;
    if (verdict.decision == HVCORE_APF_ASYNC) {
        token = queue(s, info);
    }
    if (!(gate.facts & HVCORE_APF_FACT_DUP)) {
        ask_job(info->ipa, token, requests);
    }
    return verdict;
}

void hvcore_apf_enter(hvcore_apf_state *s, hvcore_apf_requests *requests)
{
    uint32_t token = s->np_pending, i = find(s, token);
    hvcore_apf_request *np;

    requests->count = 0;
    if (i == NONE) {
        return;
    }
    s->np_pending = 0;
    s->np_busy = 1;
    s->np_token = token;
    s->slots[i].state = HVCORE_APF_NOTIFIED;
    np = ask_write(requests, s->layout.h0 + HVCORE_APF_H0_NP_TOKEN);
    put(np, token, 4);
    put(np, s->slots[i].page, 8);
    put(np, ++s->np_seq, 4);
    put(np, s->slots[i].np_flags, 4);
    ask_np_state(s, requests, 1);
    ask(requests, HVCORE_APF_EVENT)->token = token;
}

uint32_t hvcore_apf_withdraw(hvcore_apf_state *s)
{
    uint32_t i = find(s, s->np_pending);

    if (i == NONE) {
        return 0;
    }
    s->np_pending = 0;
    free_slot(s, i);
    s->withdrawn++;
    return 1;
}

static void settle(hvcore_apf_state *s, uint32_t i, bool declined, hvcore_apf_requests *requests)
{
    hvcore_apf_slot *slot = &s->slots[i];

    s->declined += declined;
    if (declined && slot->state == HVCORE_APF_COMPLETED) {
        free_slot(s, i);
    } else if (declined) {
        slot->declined = 1;
    } else if (slot->state == HVCORE_APF_COMPLETED && slot->held) {
        post(s, i, requests);
    }
}

int32_t hvcore_apf_np_complete(hvcore_apf_state *s, uint32_t declined,
                               hvcore_apf_requests *requests)
{
    uint32_t i = find(s, s->np_token);

    requests->count = 0;
    if (!s->np_busy) {
        return HVCORE_APF_DENIED;
    }
    s->np_busy = 0;
    s->np_token = 0;
    if (is_live(s)) {
        ask_np_state(s, requests, 0);
    }
    if (i != NONE) {
        settle(s, i, declined != 0, requests);
    }
    return HVCORE_APF_STATUS_OK;
}

int32_t hvcore_apf_np_ack(hvcore_apf_state *s, uint64_t token, uint64_t disposition,
                          hvcore_apf_requests *requests)
{
    requests->count = 0;
    if (!s->np_busy) {
        return HVCORE_APF_DENIED;
    }
    if (disposition > 1 || s->np_token == 0 || token != s->np_token) {
        return HVCORE_APF_INVALID;
    }
    return hvcore_apf_np_complete(s, (uint32_t)disposition, requests);
}

/* --- the end of a page ------------------------------------------------------------------------ */

static uint32_t done_notified(hvcore_apf_state *s, uint32_t i, uint32_t token,
                              hvcore_apf_requests *requests)
{
    if (s->slots[i].declined) {
        free_slot(s, i);
        return HVCORE_APF_SILENT;
    }
    s->slots[i].state = HVCORE_APF_COMPLETED;
    if (s->np_busy && s->np_token == token) {
        s->slots[i].held = 1;
        return HVCORE_APF_HELD;
    }
    post(s, i, requests);
    return HVCORE_APF_POSTED;
}

static uint32_t done(hvcore_apf_state *s, uint32_t token, hvcore_apf_requests *requests)
{
    uint32_t i = find(s, token);

    if (i == NONE || s->slots[i].state == HVCORE_APF_COMPLETED) {
        return HVCORE_APF_STALE;
    }
    if (s->slots[i].state == HVCORE_APF_NOTIFIED) {
        return done_notified(s, i, token, requests);
    }
    s->np_pending = 0; /* the only one that can be QUEUED */
    free_slot(s, i);
    return HVCORE_APF_CANCELLED;
}

uint32_t hvcore_apf_page_done(hvcore_apf_state *s, uint32_t token, hvcore_apf_requests *requests)
{
    uint32_t outcome;

    requests->count = 0;
    outcome = done(s, token, requests);
    s->outcomes[outcome]++;
    return outcome;
}

int32_t hvcore_apf_ack(hvcore_apf_state *s, uint32_t cons, uint32_t *freed)
{
    *freed = 0;
    if (!is_live(s)) {
        return HVCORE_APF_DENIED;
    }
    return advance(s, cons, freed) ? HVCORE_APF_STATUS_OK : HVCORE_APF_INVALID;
}

/* --- migration -------------------------------------------------------------------------------- */

void hvcore_apf_save(const hvcore_apf_state *s, hvcore_apf_saved *saved)
{
    *saved = (hvcore_apf_saved){
        .size = sizeof *saved,
        .version = HVCORE_APF_STATE_VERSION,
        .stride = s->config.stride,
        .nslots = s->config.nslots,
        .enabled = s->enabled,
        .flags = s->flags,
        .epoch = s->epoch,
        .broadcast = s->broadcast,
        .prod = s->prod,
        .np_busy = s->np_busy,
        .np_seq = s->np_seq,
        .gpa = s->gpa,
        .select = s->select,
        .compare = s->compare,
    };
}

static bool is_saved(const hvcore_apf_saved *saved)
{
    return saved->size == sizeof *saved && saved->version == HVCORE_APF_STATE_VERSION &&
           saved->enabled <= 1 && saved->np_busy <= 1 && saved->epoch <= 0xff &&
           saved->flags <= HVCORE_APF_FLAGS && saved->reserved == 0 &&
           (!saved->enabled || saved->flags & HVCORE_APF_FLAG_ON);
}

static void load(hvcore_apf_state *s, const hvcore_apf_saved *saved, bool usable)
{
    s->config.stride = saved->stride;
    s->config.nslots = saved->nslots;
    s->next = s->next < saved->nslots ? s->next : 0;
    s->enabled = saved->enabled;
    s->area_ok = saved->enabled && usable;
    s->flags = saved->flags;
    s->epoch = (saved->epoch + 1) & 0xff;
    s->broadcast = saved->broadcast;
    s->prod = saved->prod;
    s->hcons = saved->prod;
    s->np_busy = saved->np_busy;
    s->np_token = 0;
    s->np_seq = saved->np_seq;
    s->gpa = saved->gpa;
    s->select = saved->select;
    s->compare = saved->compare;
}

int hvcore_apf_restore(hvcore_apf_state *s, const hvcore_apf_saved *saved, uint32_t area_usable,
                       hvcore_apf_requests *requests)
{
    hvcore_apf_layout layout;

    requests->count = 0;
    if (!is_saved(saved) || hvcore_apf_layout_make(saved->stride, saved->nslots, &layout) != 0 ||
        (saved->enabled && !is_area(&layout, saved->gpa))) {
        return -HVCORE_E_INVAL;
    }
    drop_all(s);
    s->layout = layout;
    load(s, saved, area_usable != 0);
    if (is_live(s)) {
        s->broadcast++;
        ask_header(s, requests);
        ask_raise(s, requests);
    }
    return 0;
}

/* --- calls ------------------------------------------------------------------------------------ */

typedef void serve(hvcore_apf_state *s, const uint64_t *arg, uint32_t usable,
                   hvcore_apf_reply *reply, hvcore_apf_requests *requests);

static void serve_version(hvcore_apf_state *s, const uint64_t *arg, uint32_t usable,
                          hvcore_apf_reply *reply, hvcore_apf_requests *requests)
{
    (void)s, (void)arg, (void)usable, (void)requests;
    reply->value = HVCORE_APF_ABI_VERSION;
}

static void serve_info(hvcore_apf_state *s, const uint64_t *arg, uint32_t usable,
                       hvcore_apf_reply *reply, hvcore_apf_requests *requests)
{
    const uint32_t values[HVCORE_APF_INFOS] = {
        [HVCORE_APF_INFO_MODES] = UINT32_C(1) << s->config.mode,
        [HVCORE_APF_INFO_STRIDE] = s->config.stride,
        [HVCORE_APF_INFO_NSLOTS] = s->config.nslots,
        [HVCORE_APF_INFO_SIZE] = s->layout.size,
        [HVCORE_APF_INFO_NP_EVENT] = s->config.np_event,
        [HVCORE_APF_INFO_READY_IRQ] = s->config.ready_irq,
        [HVCORE_APF_INFO_FLAGS] = HVCORE_APF_FLAGS,
    };

    (void)usable, (void)requests;
    if (arg[0] < HVCORE_APF_INFOS) {
        reply->value = values[arg[0]];
    } else {
        reply->status = HVCORE_APF_INVALID;
    }
}

static void serve_enable(hvcore_apf_state *s, const uint64_t *arg, uint32_t usable,
                         hvcore_apf_reply *reply, hvcore_apf_requests *requests)
{
    reply->status = hvcore_apf_enable(s, arg[0], arg[1], arg[2], arg[3], usable, requests);
    reply->bad_address = reply->status == HVCORE_APF_INVALID && are_flags(arg[1]);
}

static void serve_disable(hvcore_apf_state *s, const uint64_t *arg, uint32_t usable,
                          hvcore_apf_reply *reply, hvcore_apf_requests *requests)
{
    uint32_t dropped;

    (void)arg, (void)usable;
    reply->status = hvcore_apf_disable(s, &dropped, requests);
    reply->value = dropped;
}

static void serve_ack(hvcore_apf_state *s, const uint64_t *arg, uint32_t usable,
                      hvcore_apf_reply *reply, hvcore_apf_requests *requests)
{
    uint32_t freed;

    (void)usable, (void)requests;
    reply->status = hvcore_apf_ack(s, (uint32_t)arg[0], &freed);
    reply->value = freed;
}

static void serve_np_ack(hvcore_apf_state *s, const uint64_t *arg, uint32_t usable,
                         hvcore_apf_reply *reply, hvcore_apf_requests *requests)
{
    (void)usable;
    reply->status = hvcore_apf_np_ack(s, arg[0], arg[1], requests);
}

static serve *const servers[HVCORE_APF_FNS] = {
    [HVCORE_APF_FN_VERSION] = serve_version, [HVCORE_APF_FN_INFO] = serve_info,
    [HVCORE_APF_FN_ENABLE] = serve_enable,   [HVCORE_APF_FN_DISABLE] = serve_disable,
    [HVCORE_APF_FN_ACK] = serve_ack,         [HVCORE_APF_FN_NP_ACK] = serve_np_ack,
};

void hvcore_apf_serve(hvcore_apf_state *s, const hvcore_apf_call *call, uint32_t area_usable,
                      hvcore_apf_reply *reply, hvcore_apf_requests *requests)
{
    serve *server = call->fn < HVCORE_APF_FNS ? servers[call->fn] : NULL;

    requests->count = 0;
    *reply = (hvcore_apf_reply){.status = server ? HVCORE_APF_STATUS_OK : HVCORE_APF_NOT_SUPPORTED};
    if (server) {
        server(s, call->arg, area_usable, reply, requests);
    }
}
