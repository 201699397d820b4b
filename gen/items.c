/*
 * items.c - the checklist, as a table
 */
#include "gen/items.h"

#include <string.h>

#include "lib/base/mem.h"

#define ALL { ASK_MUST, ASK_MUST, ASK_MUST }
#define NO_QAT { ASK_MUST, ASK_MUST, ASK_NOT }
#define FULL { ASK_MUST, ASK_MAY, ASK_MUST }
#define FULL_NO_QAT { ASK_MUST, ASK_MAY, ASK_NOT }
#define ONLY_QAT { ASK_NOT, ASK_NOT, ASK_MUST }

const struct item_def item_defs[] = {
    { "before.quality-budget", "before", ALL, .measured_by = "gate",
        .evidence = "gate/CAND.json" },
    { "before.bottleneck", "before", FULL, .measured_by = "gate",
        .evidence = "gate/CAND.json" },
    { "before.precision", "before", ALL, .evidence = "policy.json" },
    { "before.format", "before", ALL, .evidence = "policy.json" },
    { "before.kernel-support", "before", ALL, .automatic = true,
        .evidence = "policy.json" },
    { "calibration.samples", "calibration", NO_QAT, .measured_by = "corpus",
        .evidence = "corpus/report.json" },
    { "calibration.in-domain", "calibration", NO_QAT, .never_waivable = true,
        .measured_by = "corpus", .evidence = "corpus/report.json" },
    { "calibration.variety", "calibration", FULL_NO_QAT,
        .evidence = "corpus/report.json",
        .why_not = "corpus does not measure the spread of lengths, topics "
            "and formats yet" },
    { "calibration.no-duplicates", "calibration", NO_QAT,
        .measured_by = "corpus", .evidence = "corpus/report.json" },
    { "convert.group-size", "convert", NO_QAT, .evidence = "policy.json" },
    { "convert.method", "convert", NO_QAT, .evidence = "policy.json" },
    { "convert.serving-format", "convert", NO_QAT,
        .evidence = "policy.json" },
    { "convert.settings", "convert", NO_QAT, .automatic = true,
        .words = "every stage's parameters are part of its signed record",
        .evidence = "policy.json" },
    { "training.data", "training", ONLY_QAT, .evidence = "policy.json",
        .why_not = "training is not carried out yet" },
    { "training.run", "training", ONLY_QAT, .evidence = "policy.json",
        .why_not = "training is not carried out yet" },
    { "ship.tasks", "ship", ALL, .never_waivable = true,
        .measured_by = "gate", .evidence = "gate/CAND.json" },
    { "ship.stress", "ship", FULL, .measured_by = "gate",
        .evidence = "gate/CAND.json" },
    { "ship.benchmark", "ship", FULL, .measured_by = "gate",
        .evidence = "bench/CAND.json" },
    { "ship.target-met", "ship", FULL, .automatic = true,
        .words = "the gate holds the figures against the target",
        .measured_by = "gate", .evidence = "gate/CAND.json" },
    { "ship.archive", "ship", ALL, .measured_by = "archive",
        .evidence = "archive.json" },
    { "ship.flag", "ship", FULL, .evidence = "policy.json",
        .why_not = "traffic is not moved by this version; move it by hand" },
    { "ship.rollback", "ship", ALL, .never_waivable = true,
        .automatic = true,
        .words = "one operation, rehearsed on every release",
        .measured_by = "release", .evidence = "release.json" },
    { "after.monitor", "after", FULL, .evidence = "policy.json",
        .why_not = "nothing reads the serving log yet" },
    { "after.triggers", "after", FULL, .evidence = "policy.json" },
    { "after.decision", "after", ALL, .automatic = true,
        .words = "the winner and why, or why none may ship",
        .measured_by = "choose", .evidence = "decision.json" },
    { "team.required", "ship", ALL, .automatic = true,
        .words = "the release stage is the only writer of live",
        .evidence = "policy.json" },
    { "team.owners", "ship", ALL, .automatic = true,
        .words = "every phase has an owner whose key signs its stages",
        .evidence = "policy.json" },
    { "team.answers", "ship", ALL, .automatic = true,
        .words = "measured values stand beside each item in the records",
        .evidence = "policy.json" },
    { "team.review", "after", ALL, .automatic = true,
        .words = "quern review walks the list for a release that went wrong",
        .evidence = "policy.json",
        .why_not = "quern review is not there yet" },
};

const size_t n_item_defs = countof(item_defs);

const struct item_def *
item_find(const char *id)
{
    for (size_t i = 0; i < n_item_defs; i++)
        if (strcmp(item_defs[i].id, id) == 0)
            return &item_defs[i];
    return NULL;
}

bool
item_measured_by(const struct item_def *item, const char *program)
{
    size_t n = strlen(program);

    for (const char *s = item->measured_by; s != NULL && *s != '\0'; ) {
        size_t len = strcspn(s, " ");

        if (len == n && memcmp(s, program, n) == 0)
            return true;
        s += len + (s[len] == ' ');
    }
    return false;
}
