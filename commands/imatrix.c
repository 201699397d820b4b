/*
 * quern-imatrix - statistics of activations as an importance matrix
 *
 * usage: quern imatrix MODEL STATISTICS -o FILE [-d NAME] [--legacy]
 * Writes what llama-quantize reads with --imatrix.
 */
#include <stdio.h>

#include "lib/base/file.h"
#include "lib/base/option.h"
#include "lib/format/checkpoint.h"
#include "lib/model/importance.h"

static const char usage[] =
    "usage: quern imatrix MODEL STATISTICS -o FILE [-d NAME] [--legacy]\n"
    "\n"
    "  MODEL          the model's folder or .gguf file\n"
    "  STATISTICS     the folder that calibrate wrote: stats/ of a build "
    "folder\n"
    "  -o FILE        the importance matrix, as llama.cpp writes it\n"
    "  -d, --dataset  what the file calls the text (default: STATISTICS)\n"
    "  --legacy       the older form (.dat) in place of GGUF\n";

struct opts {
    const char *model, *statistics, *out, *dataset;
    bool legacy;
};

/* The folder of statistics is a stage's own, and so are its files. */
static int
check_place(const struct opts *o, struct err *e)
{
    char *dir = path_dir(o->out);

    if (file_same(dir, o->statistics))
        err_set(e, ERR_WORK, "%s: lies among the statistics, which it could "
            "take the place of; name another folder", o->out);
    free(dir);
    return e->code;
}

static int
run(const struct opts *o, struct err *e)
{
    const struct model_open_opts how = { .no_tokenizer = true, .lazy = true,
        .exact = true };
    const char *const datasets[] = {
        o->dataset != NULL ? o->dataset : o->statistics };
    struct imatrix im = { 0 };
    struct model *m = NULL;

    if (model_open(&m, o->model, &how, e) == 0 &&
        checkpoint_spared(model_checkpoint(m), o->out, e) == 0 &&
        check_place(o, e) == 0 &&
        importance_collect(&im, m, o->statistics, e) == 0) {
        im.legacy = o->legacy;
        im.datasets = datasets;
        im.n_datasets = 1;
        imatrix_write(&im, o->out, e);
    }
    imatrix_close(&im);
    model_free(m);
    return e->code;
}

int
main(int argc, char **argv)
{
    static const struct option longer[] = {
        { "dataset", required_argument, NULL, 'd' },
        { "legacy", no_argument, NULL, 'l' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct option_scan scan = { .prog = "quern-imatrix", .usage = usage,
        .known = ":hd:o:", .longer = longer };
    struct opts o = { 0 };
    struct err e = { 0 };
    int c;

    while ((c = option_next(&scan, argc, argv)) != -1) {
        if (c == 'l')
            o.legacy = true;
        else
            *(c == 'd' ? &o.dataset : &o.out) = optarg;
    }
    if (scan.stop)
        return scan.status;
    if (argc - optind != 2 || o.out == NULL)
        return option_wrong(&scan, "name one model, one folder of statistics "
                                   "and -o");
    o.model = argv[optind];
    o.statistics = argv[optind + 1];
    file_catch_signals();
    run(&o, &e);
    return err_exit("quern-imatrix", &e);
}
