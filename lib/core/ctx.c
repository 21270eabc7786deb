/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/core.h"
#include "lib/host/mem.h"

uint32_t hvcore_version(void)
{
    return HVCORE_VERSION;
}

uint64_t hvcore_clock_ns(void)
{
    return hvc_host_now();
}

void hvc_log(hvcore_ctx *ctx, uint32_t level, const char *scope, const char *fmt, ...)
{
    char line[256];
    va_list ap;
    if (!ctx->opts.log || level > ctx->opts.log_level) {
        return;
    }
    va_start(ap, fmt);
    hvc_vformat(line, sizeof(line), fmt, ap);
    va_end(ap);
    ctx->opts.log(ctx->opts.log_user, level, scope, line);
}

int hvcore_ctx_create(const hvcore_ctx_opts *opts, hvcore_ctx **ctx, hvcore_error *err)
{
    hvcore_ctx_opts given = HVCORE_CTX_OPTS_INIT;
    int rc = opts ? hvc_struct_in(&given, sizeof(given), opts, "context options", err) : 0;
    if (rc) {
        return rc;
    }
    if (!ctx) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_CORE,
                        "There is no place for the context.");
    }
    hvcore_ctx *made = hvc_host_alloc(sizeof(*made));
    if (!made) {
        return hvc_fail(err, HVCORE_E_NOMEM, HVCORE_DOMAIN_CORE, "No memory for a context.");
    }
    hvc_ref_init(&made->refs);
    made->opts = given;
    while (hvc_builtin_backends[made->backends]) {
        made->backend[made->backends] = hvc_builtin_backends[made->backends];
        made->backends++;
    }
    *ctx = made;
    return 0;
}

hvcore_ctx *hvcore_ctx_ref(hvcore_ctx *ctx)
{
    hvc_ref_get(&ctx->refs);
    return ctx;
}

void hvcore_ctx_unref(hvcore_ctx *ctx)
{
    if (ctx && hvc_ref_put(&ctx->refs)) {
        hvc_host_free(ctx);
    }
}

int hvcore_ctx_backend_info(hvcore_ctx *ctx, uint32_t index, hvcore_backend_info *info)
{
    hvcore_backend_info full = HVCORE_BACKEND_INFO_INIT;
    if (!ctx || !info) {
        return -HVCORE_E_INVAL;
    }
    hvc_host_lock(&ctx->lock);
    const hvcore_backend_ops *ops = index < ctx->backends ? ctx->backend[index] : NULL;
    hvc_host_unlock(&ctx->lock);
    if (!ops) {
        return -HVCORE_E_NOTFOUND;
    }
    ops->info(&full);
    return hvc_struct_out(info, &full, sizeof(full));
}

/* A NULL function pointer is a mistake that must not be called. */
static bool filled(const void *table, size_t first, size_t size)
{
    void (*slot)(void);
    for (size_t at = first; at < size; at += sizeof(slot)) {
        memcpy(&slot, (const char *)table + at, sizeof(slot));
        if (!slot) {
            return false;
        }
    }
    return true;
}

/* The table has function pointers from `info` on, and names one other that has nothing else. */
static bool complete(const hvcore_backend_ops *ops)
{
    return filled(ops, offsetof(hvcore_backend_ops, info), sizeof(*ops)) &&
           !ops->riscv64 != !ops->kernel &&
           (ops->riscv64 ? filled(ops->riscv64, 0, sizeof(*ops->riscv64))
                         : filled(ops->kernel, 0, sizeof(*ops->kernel)));
}

static bool same_text(const char *a, const char *b, size_t n)
{
    size_t i = 0;
    while (i < n && a[i] && a[i] == b[i]) {
        i++;
    }
    return i == n || a[i] == b[i];
}

static bool known(const hvcore_ctx *ctx, const hvcore_backend_info *info)
{
    for (uint32_t i = 0; i < ctx->backends; i++) {
        hvcore_backend_info have = HVCORE_BACKEND_INFO_INIT;
        ctx->backend[i]->info(&have);
        if (have.arch == info->arch && same_text(have.name, info->name, sizeof(have.name)) &&
            same_text(have.machine, info->machine, sizeof(have.machine))) {
            return true;
        }
    }
    return false;
}

static int add(hvcore_ctx *ctx, const hvcore_backend_ops *ops, hvcore_error *err)
{
    hvcore_backend_info info = HVCORE_BACKEND_INFO_INIT;
    ops->info(&info);
    if (known(ctx, &info)) {
        return hvc_fail(err, HVCORE_E_EXISTS, HVCORE_DOMAIN_CORE,
                        "A backend named %s/%s is there already.", info.name, info.machine);
    }
    if (ctx->backends == HVC_MAX_BACKENDS) {
        return hvc_fail(err, HVCORE_E_LIMIT, HVCORE_DOMAIN_CORE, "A context holds %u backends.",
                        (unsigned)HVC_MAX_BACKENDS);
    }
    ctx->backend[ctx->backends++] = ops;
    return 0;
}

int hvcore_ctx_backend_add(hvcore_ctx *ctx, const hvcore_backend_ops *ops, hvcore_error *err)
{
    if (!ctx || !ops || ops->size != sizeof(*ops) || ops->abi != HVCORE_BACKEND_ABI ||
        !complete(ops)) {
        return hvc_fail(err, HVCORE_E_INVAL, HVCORE_DOMAIN_CORE,
                        "The backend was not built for this library: its table has another size or "
                        "abi, or an empty slot.");
    }
    hvc_host_lock(&ctx->lock);
    int rc = add(ctx, ops, err);
    hvc_host_unlock(&ctx->lock);
    return rc;
}
