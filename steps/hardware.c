/*
 * quern-hardware - what machine this is
 *
 * A probe: it looks in every build and takes milliseconds. The file keeps its
 * bytes as long as the identity is the same, so benchmarks are repeated only on
 * a machine that differs. Clock rate, load and date are not here: they change
 * while nothing does; the benchmark notes them.
 */
#include <stdlib.h>
#include <string.h>

#include "kernels/gemm.h"
#include "lib/base/hardware.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/record/stage.h"

enum { HARDWARE_MAX = 1 << 20 };

static const char role[] = "hardware.json";

/* What the file on disk says, if it still holds. */
static json_t *
standing(const struct stage *s, const struct digest *digest)
{
    char *path = path_join(s->dir, role), hex[DIGEST_HEX];
    struct err ignored = { 0 };
    json_t *old = NULL;

    if (file_exists(path))
        old = json_read(path, HARDWARE_MAX, NULL, &ignored);
    free(path);
    if (old != NULL) {
        const char *was = json_string_value(json_object_get(old, "digest"));
        const json_t *identity = json_object_get(old, "identity");
        struct digest d = { { 0 } };

        if (identity != NULL)
            d = hardware_digest(identity);
        if (was != NULL && strcmp(was, digest_hex(digest, hex)) == 0 &&
            digest_equal(&d, digest))
            return old;
    }
    json_decref(old);
    return NULL;
}

static int
run(struct stage *s, struct err *e)
{
    json_t *identity = hardware_identity(), *o;
    struct digest digest;
    char hex[DIGEST_HEX];

    (void)gemm_ready(); /* without it the names are "none" */
    json_object_set_new(identity, "blas", json_pack("{s:s, s:s}", "version",
        gemm_version(), "core", gemm_core_name()));
    digest = hardware_digest(identity);
    o = standing(s, &digest);
    if (o == NULL)
        o = json_pack("{s:O, s:o, s:s}", "identity", identity, "recorded",
            hardware_recorded(), "digest", digest_hex(&digest, hex));
    json_decref(identity);
    stage_put_json(s, role, o, e);
    json_decref(o);
    return e->code;
}

static const char *const outs[] = { "!hardware.json", NULL };

static const struct stage_spec spec = {
    .step = "hardware",
    .purpose = "what machine this is",
    .outs = outs,
    .always = true,
};

int
main(int argc, char **argv)
{
    return stage_main(&spec, argc, argv, run);
}
