/* Tests of lib/base/progress.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/base/json.h"
#include "lib/base/progress.h"
#include "tests/lib/base/scratch.h"

static void
the_heartbeat_tells_and_goes(void **state)
{
    /* The heartbeat is JSON while work runs, and is gone after. */
    char dir[64], path[96];
    struct progress p;
    struct err e = { 0 };
    json_t *v;

    (void)state;
    scratch_make(dir);
    snprintf(path, sizeof path, "%s/beat/calibrate.json", dir);
    progress_start(&p, "calibrate", path, "layer", "layers", 4);
    v = json_read(path, 4096, NULL, &e);
    assert_non_null(v);
    assert_string_equal(json_get_str(v, "stage", path, &e), "calibrate");
    assert_int_equal(json_get_int(v, "total", 0, 10, path, &e), 4);
    assert_int_equal(json_get_int(v, "done", 0, 10, path, &e), 0);
    assert_int_equal(json_get_int(v, "pid", 1, INT32_MAX, path, &e),
        getpid());
    json_decref(v);
    p.beat_ns = 0; /* as if a second had passed */
    progress_add(&p, 3);
    v = json_read(path, 4096, NULL, &e);
    assert_int_equal(json_get_int(v, "done", 0, 10, path, &e), 3);
    json_decref(v);
    progress_end(&p);
    assert_int_equal(access(path, F_OK), -1);
    progress_end(&p);
    progress_add(&p, 1);
    assert_int_equal(e.code, 0);
    scratch_remove(dir);
}

static void
no_file_no_heartbeat(void **state)
{
    /* Without a file, or with one that cannot be, work goes on. */
    struct progress p;

    (void)state;
    progress_start(&p, "x", NULL, "w", "u", 0);
    progress_add(&p, 1);
    progress_end(&p);
    progress_start(&p, "x", "/dev/null/no", "w", "u", 1);
    progress_add(&p, 1);
    progress_end(&p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_heartbeat_tells_and_goes),
        cmocka_unit_test(no_file_no_heartbeat),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/base/progress", tests, NULL,
        NULL);
}
