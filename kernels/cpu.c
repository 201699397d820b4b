#include "kernels/cpu.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

#include "kernels/ops.h"

static const struct kernel_ops *_Atomic chosen;

/* The table of that name, if this machine can run it. */
static const struct kernel_ops *
usable(const char *isa)
{
    if (strcmp(isa, "ref") == 0)
        return &kernel_ops_ref;
#if defined(__x86_64__)
    /* F16C came with the generation before AVX2: not asked for */
    if (strcmp(isa, "avx2") == 0 && __builtin_cpu_supports("avx2") &&
        __builtin_cpu_supports("fma"))
        return &kernel_ops_avx2;
    if (strcmp(isa, "avx512") == 0 && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512vnni"))
        return &kernel_ops_avx512;
#endif
#if defined(__aarch64__)
    if (strcmp(isa, "neon") == 0)
        return &kernel_ops_neon;
    if (strcmp(isa, "neon-dot") == 0 &&
        (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0)
        return &kernel_ops_neon_dot;
#endif
    return NULL;
}

/* Threads may race here: they all store the same answer. */
const struct kernel_ops *
kernel_ops(void)
{
    const struct kernel_ops *ops =
        atomic_load_explicit(&chosen, memory_order_acquire);

    if (!ops) {
        const char *want = getenv("QUERN_ISA");

        if (want)
            ops = usable(want);
        if (!ops)
            ops = usable("avx512");
        if (!ops)
            ops = usable("avx2");
        if (!ops)
            ops = usable("neon-dot");
        if (!ops)
            ops = usable("neon");
        if (!ops)
            ops = &kernel_ops_ref;
        atomic_store_explicit(&chosen, ops, memory_order_release);
    }
    return ops;
}

const char *
cpu_isa(void)
{
    return kernel_ops()->isa;
}

int
cpu_force(const char *isa)
{
    const struct kernel_ops *ops = usable(isa);

    if (!ops)
        return -1;
    atomic_store_explicit(&chosen, ops, memory_order_release);
    return 0;
}
