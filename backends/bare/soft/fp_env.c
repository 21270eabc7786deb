/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's FP environment: ours while a PE executes F and D, the thread's own before and after.
 */
#include "backends/bare/soft/fp_host.h"

static void enter(hvc_soft_fp_env *env, uint32_t rm)
{
    hvc_fp_host_save(env->saved);
    hvc_fp_host_clean(rm);
    env->fma = !(env->options & HVC_SOFT_FP_NO_FMA) && hvc_fp_host_has_fma();
}

bool hvc_fp_host_install(hvc_soft_fp_env *env, uint32_t rm)
{
    if (!HVC_FP_HOST || rm > HVC_SOFT_FP_RUP || env->options & HVC_SOFT_FP_NO_HOST)
        return false;
    if (env->host)
        hvc_fp_host_round(rm);
    else
        enter(env, rm);
    env->host = rm + 1;
    return true;
}

void hvc_soft_fp_enter(hvc_soft_fp_env *env)
{
    hvc_fp_host_install(env, HVC_SOFT_FP_RNE);
}

void hvc_soft_fp_restore(hvc_soft_fp_env *env)
{
    env->flags |= hvc_fp_host_flags();
    hvc_fp_host_restore(env->saved);
    env->host = 0;
}

uint32_t hvc_soft_fp_flags(hvc_soft_fp_env *env)
{
    uint32_t flags = env->flags | (env->host ? hvc_fp_host_flags() : 0);

    env->flags = 0;
    return flags;
}
