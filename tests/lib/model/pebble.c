/* The model pebble against the references that transformers computed. */
#include "tests/lib/model/reference.h"

static struct reference ref;

static void
logits(void **state)
{
    /* Logits are the reference's, read at once or step by step. */
    (void)state;
    reference_check_logits(&ref);
}

static void
losses(void **state)
{
    /* The loss over the first 4096 ids is the reference's. */
    (void)state;
    reference_check_nll(&ref, "nll");
}

static void
greedy(void **state)
{
    /* Greedy continuations are the reference's. */
    (void)state;
    reference_check_greedy(&ref);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits),
        cmocka_unit_test(losses),
        cmocka_unit_test(greedy),
    };
    int failed;

    cmocka_set_message_output(CM_OUTPUT_TAP);
    reference_open(&ref, "examples/pebble/model", "tests/data/pebble",
        "examples/pebble/data/valid.txt");
    failed = cmocka_run_group_tests_name("lib/model/pebble", tests, NULL,
        NULL);
    reference_close(&ref);
    return failed;
}
