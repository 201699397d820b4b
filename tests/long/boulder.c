/*
 * The model boulder (seven shards, config.json written the newer way) and all of
 * pebble's text against the references that transformers computed. The folder
 * that holds both models is named by the environment: MODELS=DIR.
 */
#include "tests/lib/model/reference.h"

static struct reference ref;

static int
open_model(const char *name)
{
    const char *models = getenv("MODELS");
    char *dir;

    if (models == NULL || *models == '\0')
        return 0; /* tests skip */
    dir = path_join(models, name);
    reference_open(&ref, dir, dir, "examples/pebble/data/valid.txt");
    free(dir);
    return 0;
}

static int
open_boulder(void **state)
{
    (void)state;
    return open_model("boulder");
}

static int
open_pebble(void **state)
{
    (void)state;
    return open_model("pebble");
}

static int
close_model(void **state)
{
    (void)state;
    if (ref.m != NULL)
        reference_close(&ref);
    ref = (struct reference){ 0 };
    return 0;
}

static void
logits(void **state)
{
    /* Logits are the reference's, read at once or step by step. */
    (void)state;
    if (ref.m == NULL)
        skip();
    reference_check_logits(&ref);
}

static void
losses(void **state)
{
    /* The losses are the reference's, over the beginning and over all. */
    (void)state;
    if (ref.m == NULL)
        skip();
    reference_check_nll(&ref, "nll");
    reference_check_nll(&ref, "nll_all");
}

static void
greedy(void **state)
{
    /* Greedy continuations are the reference's. */
    (void)state;
    if (ref.m == NULL)
        skip();
    reference_check_greedy(&ref);
}

int
main(void)
{
    const struct CMUnitTest boulder[] = {
        cmocka_unit_test(logits),
        cmocka_unit_test(losses),
        cmocka_unit_test(greedy),
    };
    const struct CMUnitTest pebble[] = {
        cmocka_unit_test(losses),
    };
    int failed;

    cmocka_set_message_output(CM_OUTPUT_TAP);
    failed = cmocka_run_group_tests_name("long/boulder", boulder,
        open_boulder, close_model);
    failed += cmocka_run_group_tests_name("long/pebble", pebble, open_pebble,
        close_model);
    return failed;
}
