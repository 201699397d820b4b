/*
 * cpu.h - which instruction set the kernels use
 *
 * Chosen once, at the first kernel call or the first call here; the environment
 * variable QUERN_ISA (ref, avx2, avx512, neon, neon-dot) may ask for a lesser
 * one.
 * Results have the same bits on all of them; only speed differs.
 */
#ifndef QUERN_KERNELS_CPU_H
#define QUERN_KERNELS_CPU_H

/* The one in use. "ref" always exists. */
const char *cpu_isa(void);
/*
 * For tests: use this one from now on. 0, or -1 if this build or this machine
 * lacks it (nothing changes then). Not to be called while kernels run.
 */
int cpu_force(const char *isa);

#endif
