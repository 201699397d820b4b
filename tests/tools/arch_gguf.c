/*
 * arch_gguf - the tiny models of tests/data/arch as GGUF files
 *
 *     arch_gguf DIR TYPE
 *
 * Writes DIR/NAME.gguf for those that the format can express, and prints for
 * each its name and the positions up to which it promises the same results.
 */
#include "tests/lib/model/arches.h"

#include "kernels/gemm.h"

int
main(int argc, char **argv)
{
    struct how how = { .method = METHOD_RTN };

    gemm_pin(argv);
    if (argc != 3 || qtype_from_name(argv[2], &how.type) != 0) {
        fprintf(stderr, "usage: arch_gguf DIR TYPE\n");
        return 2;
    }
    for (size_t i = 0; i < countof(arch_names); i++) {
        char *path = mem_printf("%s/%s.gguf", argv[1], arch_names[i]);
        struct err e = { 0 };
        size_t scaled = 0;
        struct vectors v;

        vectors_init(&v, arch_names[i]);
        write_weights(&v, "model.safetensors", 0, 1);
        if (pack(&v, path, &how, &scaled, &e) == 0) {
            struct model *m = open_model(path, &whole);

            printf("%s %u\n", arch_names[i], model_config(m)->positions);
            model_free(m);
        }
        vectors_release(&v);
        free(path);
    }
    return 0;
}
