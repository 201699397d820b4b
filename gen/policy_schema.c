/*
 * policy_schema.c - the language of policies, as data
 *
 * Where a range or a default comes from stands beside it.
 */
#include "gen/policy_schema.h"

#include <stddef.h>

#include "gen/types.h"

#define END { .name = NULL }
#define NEEDED .flags = FIELD_NEEDED
#define ITEM .flags = FIELD_ITEM

static const double many = 1e9;

static const char *const profiles[] = { "production", "internal", "qat",
    NULL };
static const char *const corrections[] = { "candidates", "none", NULL };
static const char *const bottlenecks[] = { "memory", "throughput", "cost",
    NULL };
static const char *const containers[] = { "gguf", "gptq", "awq",
    "compressed-tensors", NULL };
static const char *const runtimes[] = { "llama.cpp", "vllm", "tensorrt-llm",
    "onnxruntime", NULL };
static const char *const devices[] = { "cpu", "cuda", "hip", "metal",
    "vulkan", "sycl", NULL };
static const char *const groups[] = { "16", "32", "64", "128", "256", NULL };
static const char *const covers[] = { "reasoning", "instructions",
    "retrieval", "edge", NULL };
static const char *const yes_no[] = { "yes", "no", NULL };
static const char *const true_false[] = { "true", "false", NULL };
static const char *const first_phases[] = { "calibration", "training", NULL };
static const char *const only_ship[] = { "ship", NULL };
static const char *const trainings[] = { "full", "lora", NULL };

const struct field owner_fields[] = {
    { "principal", FIELD_TEXT, NEEDED, .what = "the owner's name",
        .example = "modeling@example.org" },
    { "key", FIELD_PATH, NEEDED, .what = "the owner's private key",
        .example = "keys/modeling" },
    END
};

#define OWNER(phase) { phase, FIELD_MAP, .fields = owner_fields, \
    .what = "the owner of a phase", \
    .example = "{principal: modeling@example.org, key: keys/modeling}" }
static const struct field owners_fields[] = {
    OWNER("before"), OWNER("calibration"), OWNER("convert"),
    OWNER("training"), OWNER("ship"), OWNER("after"), END
};

const struct field model_fields[] = {
    { "source", FIELD_PATH, NEEDED, .what = "the checkpoint: a folder or a "
        "GGUF file", .example = "model" },
    { "name", FIELD_WORD, NEEDED, .what = "the model's name",
        .example = "my-model" },
    { "license", FIELD_TEXT, .what = "the model's license",
        .example = "apache-2.0" },
    { "base-model", FIELD_TEXT, .what = "what the model was made from",
        .example = "https://example.org/base" },
    { "quantized-by", FIELD_TEXT, .what = "who quantized it",
        .example = "Example Inc" },
    { "bos", FIELD_CHOICE, .choices = yes_no,
        .what = "answer to whether prompts begin with bos",
        .example = "yes", .fallback = "yes" },
    END
};

const struct field record_fields[] = {
    { "signers", FIELD_PATH, NEEDED, .what = "the owners' public keys",
        .example = "keys/allowed_signers" },
    { "repository", FIELD_PATH, NEEDED, .what = "the git repository that "
        "releases are committed to", .example = "releases.git" },
    { "ref", FIELD_TEXT, .what = "the prefix of quern's branches",
        .example = "refs/heads/quern", .fallback = "refs/heads/quern" },
    { "author", FIELD_TEXT, .what = "who releases are committed by",
        .example = "Platform <platform@example.org>" },
    END
};

/* evaluation.md 4.4: 2 points pooled, 5 per suite, alpha .05 one-sided */
const struct field perplexity_fields[] = {
    { "text", FIELD_PATH, NEEDED, .what = "the text perplexity is taken on",
        .example = "data/valid.txt" },
    { "ratio", FIELD_REAL, NEEDED, .min = 1.0, .max = 10.0,
        .what = "the largest ratio of the perplexities", .example = "1.05" },
    { "window", FIELD_INT, .min = 16, .max = 1 << 20,
        .what = "tokens per window", .example = "512", .fallback = "512" },
    { "limit", FIELD_INT, .min = 0, .max = many,
        .what = "how many tokens (0: all)", .example = "0", .fallback = "0" },
    END
};

const struct field kl_fields[] = {
    { "mean", FIELD_REAL, NEEDED, .min = 0.0, .max = 10.0,
        .what = "the largest mean KL divergence in nats", .example = "0.05" },
    { "tokens", FIELD_INT, .min = 1, .max = many,
        .what = "how many tokens the divergence is taken on",
        .example = "8192", .fallback = "8192" },
    END
};

static const struct field drop_field[] = {
    { "suite", FIELD_REAL, .min = 0.0, .max = 100.0,
        .what = "the largest drop of this suite in points", .example = "5" },
    END
};

const struct field budget_fields[] = {
    { "pooled-drop", FIELD_REAL, NEEDED, .min = 0.0, .max = 100.0,
        .what = "the largest drop over all tasks in points", .example = "2" },
    { "suite-drop", FIELD_REAL, NEEDED, .min = 0.0, .max = 100.0,
        .what = "the largest drop of one suite in points", .example = "5" },
    { "suites", FIELD_TABLE, .fields = drop_field,
        .what = "other limits for single suites",
        .example = "{retrieval: 3}" },
    { "alpha", FIELD_REAL, .min = 0.0001, .max = 0.2,
        .what = "the error rate", .example = "0.05", .fallback = "0.05" },
    { "correction", FIELD_CHOICE, .choices = corrections,
        .what = "what the error rate is split over", .example = "candidates",
        .fallback = "candidates" },
    { "perplexity", FIELD_MAP, NEEDED, .fields = perplexity_fields,
        .what = "the limit of perplexity",
        .example = "{text: data/valid.txt, ratio: 1.05}" },
    { "kl", FIELD_MAP, NEEDED, .fields = kl_fields,
        .what = "the limit of the KL divergence", .example = "{mean: 0.05}" },
    { "flips-warn", FIELD_REAL, .min = 0.0, .max = 100.0,
        .what = "percent of changed answers that is worth a warning",
        .example = "5", .fallback = "5" },
    END
};

const struct field target_fields[] = {
    { "relative", FIELD_REAL, .min = 0.001, .max = 1000.0,
        .what = "the target as a ratio to the baseline", .example = "0.4" },
    { "absolute", FIELD_SIZE, .min = 1e-6, .max = 1e18,
        .what = "the target as a figure", .example = "2 GiB" },
    END
};

const struct field bottleneck_fields[] = {
    { "what", FIELD_CHOICE, NEEDED, .choices = bottlenecks,
        .what = "bottleneck", .example = "memory" },
    { "target", FIELD_MAP, NEEDED, .fields = target_fields,
        .what = "what it must come to", .example = "{relative: 0.4}" },
    END
};

const struct field precision_fields[] = {
    { "bits", FIELD_INT, .min = 2, .max = 16, .what = "bits per weight",
        .example = "4", .fallback = "4" },
    { "because", FIELD_TEXT, .what = "why fewer than 4 bits",
        .example = "the device has 2 GB" },
    { "qat-plan", FIELD_TEXT, .what = "how training will make up for it",
        .example = "policies/qat.yaml, by March" },
    END
};

const struct field format_fields[] = {
    { "container", FIELD_CHOICE, NEEDED, .choices = containers,
        .what = "file format", .example = "gguf" },
    { "runtime", FIELD_CHOICE, NEEDED, .choices = runtimes,
        .what = "serving runtime", .example = "llama.cpp" },
    { "device", FIELD_CHOICE, NEEDED, .choices = devices,
        .what = "serving device", .example = "cpu" },
    { "compute-capability", FIELD_INT, .min = 50, .max = 129,
        .what = "CUDA compute capability times 10", .example = "89" },
    END
};

const struct field before_fields[] = {
    { "quality-budget", FIELD_MAP, ITEM, .fields = budget_fields,
        .what = "the quality budget", .example = "{pooled-drop: 2, "
        "suite-drop: 5, perplexity: {text: data/valid.txt, ratio: 1.05}, "
        "kl: {mean: 0.05}}" },
    { "bottleneck", FIELD_MAP, ITEM, .fields = bottleneck_fields,
        .what = "what is scarce, and the target",
        .example = "{what: memory, target: {relative: 0.4}}" },
    { "precision", FIELD_MAP, ITEM, .fields = precision_fields,
        .what = "the fewest bits per weight", .example = "{bits: 4}" },
    { "format", FIELD_MAP, ITEM, .fields = format_fields,
        .what = "what serves the model",
        .example = "{container: gguf, runtime: llama.cpp, device: cpu}" },
    { "kernel-support", FIELD_AUTO, ITEM, .what = "kernel-support",
        .example = "auto" },
    END
};

/* evaluation.md 6.1: 128 to 512 samples are enough */
const struct field samples_fields[] = {
    { "source", FIELD_PATH, NEEDED, .what = "the calibration documents",
        .example = "data/calibration.jsonl" },
    { "count", FIELD_INT, NEEDED, .min = 128, .max = 512,
        .what = "how many samples", .example = "256" },
    { "window", FIELD_INT, .min = 16, .max = 1 << 16,
        .what = "the most tokens of one sample", .example = "512",
        .fallback = "512" },
    { "seed", FIELD_INT, .min = 0, .max = 4294967295.0,
        .what = "the seed of the selection", .example = "1",
        .fallback = "1" },
    { "at-least", FIELD_INT, .min = 16, .max = 512,
        .what = "how many samples must remain", .example = "128",
        .fallback = "128" },
    END
};

/* evaluation.md 6.4: the limit is the null's 99th percentile, 200 draws */
const struct field in_domain_fields[] = {
    { "production", FIELD_PATH, NEEDED,
        .what = "a sample of production traffic",
        .example = "data/traffic.jsonl" },
    { "documents", FIELD_INT, .min = 100, .max = 1e6,
        .what = "the most documents of the sample", .example = "2000",
        .fallback = "2000" },
    { "seed", FIELD_INT, .min = 0, .max = 4294967295.0,
        .what = "the seed of the sample", .example = "1", .fallback = "1" },
    { "quantile", FIELD_REAL, .min = 0.5, .max = 0.9999,
        .what = "the share of production's own spread that is allowed",
        .example = "0.99", .fallback = "0.99" },
    { "draws", FIELD_INT, .min = 50, .max = 100000,
        .what = "how often that spread is drawn", .example = "200",
        .fallback = "200" },
    END
};

static const struct field variety_fields[] = {
    { "length-deciles", FIELD_INT, NEEDED, .min = 1, .max = 10,
        .what = "how many of production's ten length classes must occur",
        .example = "8" },
    { "topics", FIELD_INT, NEEDED, .min = 1, .max = 10000,
        .what = "the fewest topics", .example = "5" },
    { "formats", FIELD_INT, NEEDED, .min = 1, .max = 100,
        .what = "the fewest formats", .example = "2" },
    { "coverage", FIELD_REAL, .min = 0.0, .max = 100.0,
        .what = "percent of production's tokens whose kind must occur",
        .example = "95", .fallback = "95" },
    END
};

/* evaluation.md 6.2 and 6.3: Jaccard 0.7 on word 5-grams, 2% of the tokens */
const struct field no_duplicates_fields[] = {
    { "near", FIELD_REAL, .min = 0.3, .max = 1.0,
        .what = "the similarity at which a document is a near duplicate",
        .example = "0.7", .fallback = "0.7" },
    { "largest-share", FIELD_REAL, NEEDED, .min = 0.1, .max = 100.0,
        .what = "the largest share of one document in percent",
        .example = "2" },
    END
};

const struct field calibration_fields[] = {
    { "samples", FIELD_MAP, ITEM, .fields = samples_fields,
        .what = "what the model is calibrated on",
        .example = "{source: data/calibration.jsonl, count: 256}" },
    { "in-domain", FIELD_MAP, ITEM, .fields = in_domain_fields,
        .what = "what the samples are held against",
        .example = "{production: data/traffic.jsonl}" },
    { "variety", FIELD_MAP, ITEM, .fields = variety_fields,
        .what = "the least spread of the samples",
        .example = "{length-deciles: 8, topics: 5, formats: 2}" },
    { "no-duplicates", FIELD_MAP, ITEM, .fields = no_duplicates_fields,
        .what = "what is dropped", .example = "{largest-share: 2}" },
    END
};

const struct field method_fields[] = {
    { "use", FIELD_CHOICE, NEEDED, .choices = quant_methods,
        .what = "method", .example = "imatrix" },
    { "because", FIELD_TEXT, .what = "why plain rounding will do",
        .example = "8 bits lose nothing measurable" },
    END
};

const struct field convert_fields[] = {
    { "group-size", FIELD_CHOICE, ITEM, .choices = groups,
        .what = "group size", .example = "128" },
    { "method", FIELD_MAP, ITEM, .fields = method_fields,
        .what = "how weights are rounded", .example = "{use: imatrix}" },
    { "serving-format", FIELD_CHOICE, ITEM, .choices = containers,
        .what = "format that is written at once", .example = "gguf" },
    { "settings", FIELD_AUTO, ITEM, .what = "settings", .example = "auto" },
    END
};

static const struct field training_data_fields[] = {
    { "source", FIELD_PATH, NEEDED, .what = "the training documents",
        .example = "data/train.jsonl" },
    { "tokens", FIELD_INT, NEEDED, .min = 1000, .max = 1e12,
        .what = "how many tokens are trained on", .example = "100000000" },
    { "production", FIELD_PATH, NEEDED,
        .what = "a sample of production traffic",
        .example = "data/traffic.jsonl" },
    { "seed", FIELD_INT, .min = 0, .max = 4294967295.0,
        .what = "the seed of the order", .example = "1", .fallback = "1" },
    END
};

static const struct field training_run_fields[] = {
    { "update", FIELD_CHOICE, NEEDED, .choices = trainings,
        .what = "way to update the weights", .example = "full" },
    { "steps", FIELD_INT, NEEDED, .min = 1, .max = many,
        .what = "how many steps", .example = "2000" },
    { "batch-tokens", FIELD_INT, NEEDED, .min = 1, .max = many,
        .what = "tokens per step", .example = "65536" },
    { "learning-rate", FIELD_REAL, NEEDED, .min = 1e-9, .max = 1.0,
        .what = "the highest learning rate", .example = "0.00001" },
    { "seed", FIELD_INT, .min = 0, .max = 4294967295.0,
        .what = "the seed of the run", .example = "1", .fallback = "1" },
    END
};

const struct field training_fields[] = {
    { "data", FIELD_MAP, ITEM, .fields = training_data_fields,
        .what = "what is trained on",
        .example = "{source: data/train.jsonl, tokens: 100000000, "
        "production: data/traffic.jsonl}" },
    { "run", FIELD_MAP, ITEM, .fields = training_run_fields,
        .what = "how it is trained", .example = "{update: full, steps: 2000, "
        "batch-tokens: 65536, learning-rate: 0.00001}" },
    END
};

const struct field suite_fields[] = {
    { "name", FIELD_WORD, NEEDED, .what = "the suite's name",
        .example = "facts" },
    { "data", FIELD_PATH, NEEDED, .what = "the suite's items",
        .example = "data/suites/facts.jsonl" },
    { "reserve", FIELD_PATH, .what = "further items, used once if the first "
        "do not decide", .example = "data/reserve/facts.jsonl" },
    { "covers", FIELD_CHOICE, .choices = covers,
        .what = "strain that a suite covers", .example = "reasoning" },
    { "max-tokens", FIELD_INT, .min = 1, .max = 1 << 16,
        .what = "the most tokens of an answer", .example = "64",
        .fallback = "64" },
    END
};

/* evaluation.md 7.2 */
const struct field benchmark_fields[] = {
    { "hardware", FIELD_TEXT, NEEDED, .what = "the production hardware",
        .example = "here" },
    { "prefill", FIELD_INT, .min = 1, .max = 1 << 20,
        .what = "tokens of the prompt", .example = "512",
        .fallback = "512" },
    { "decode", FIELD_INT, .min = 1, .max = 1 << 20,
        .what = "tokens of the answer", .example = "128",
        .fallback = "128" },
    { "blocks", FIELD_INT, .min = 1, .max = 100,
        .what = "how often baseline and candidate take turns",
        .example = "3", .fallback = "3" },
    END
};

const struct field archive_fields[] = {
    { "store", FIELD_PATH, NEEDED,
        .what = "the folder that keeps the full-precision weights",
        .example = "store" },
    END
};

static const struct field flag_fields[] = {
    { "share", FIELD_REAL, NEEDED, .min = 0.1, .max = 100.0,
        .what = "percent of traffic that gets the new model first",
        .example = "5" },
    { "key", FIELD_TEXT, NEEDED, .what = "what a request is assigned by",
        .example = "user id" },
    { "compare", FIELD_TEXT, NEEDED, .what = "what is compared live",
        .example = "share of escalated conversations" },
    END
};

const struct field ship_fields[] = {
    { "tasks", FIELD_LIST, ITEM, .min = 1, .fields = suite_fields,
        .what = "the downstream tasks",
        .example = "- {name: facts, data: data/suites/facts.jsonl}" },
    { "stress", FIELD_LIST, ITEM, .min = 1, .fields = suite_fields,
        .what = "the stress suites", .example = "- {name: edge, data: "
        "data/suites/edge.jsonl, covers: edge}" },
    { "benchmark", FIELD_MAP, ITEM, .fields = benchmark_fields,
        .what = "the speed test", .example = "{hardware: here}" },
    { "target-met", FIELD_AUTO, ITEM, .what = "target-met",
        .example = "auto" },
    { "archive", FIELD_MAP, ITEM, .fields = archive_fields,
        .what = "where the full-precision weights are kept",
        .example = "{store: store}" },
    { "flag", FIELD_MAP, ITEM, .fields = flag_fields,
        .what = "how traffic moves over", .example = "{share: 5, key: user "
        "id, compare: share of escalated conversations}" },
    { "rollback", FIELD_AUTO, ITEM, .what = "rollback", .example = "auto" },
    END
};

static const struct field metric_fields[] = {
    { "name", FIELD_WORD, NEEDED, .what = "the metric's name",
        .example = "escalations" },
    { "threshold", FIELD_REAL, NEEDED, .min = 0.0, .max = many,
        .what = "the value that raises an alarm", .example = "0.02" },
    END
};

static const struct field monitor_fields[] = {
    { "log", FIELD_TEXT, NEEDED, .what = "where the metrics' log lies",
        .example = "/var/log/serving/outcomes.jsonl" },
    { "metrics", FIELD_LIST, NEEDED, .min = 1, .fields = metric_fields,
        .what = "what is watched",
        .example = "- {name: escalations, threshold: 0.02}" },
    END
};

const struct field triggers_fields[] = {
    { "base-model", FIELD_CHOICE, NEEDED, .choices = first_phases,
        .what = "phase that a new base model re-opens",
        .example = "calibration" },
    { "traffic", FIELD_CHOICE, NEEDED, .choices = first_phases,
        .what = "phase that a shift of traffic re-opens",
        .example = "calibration" },
    { "hardware", FIELD_CHOICE, NEEDED, .choices = only_ship,
        .what = "phase that new hardware re-opens", .example = "ship" },
    END
};

const struct field after_fields[] = {
    { "monitor", FIELD_MAP, ITEM, .fields = monitor_fields,
        .what = "what is watched after the release",
        .example = "{log: /var/log/serving/outcomes.jsonl, metrics: "
        "[{name: escalations, threshold: 0.02}]}" },
    { "triggers", FIELD_MAP, ITEM, .fields = triggers_fields,
        .what = "what re-opens which phase", .example = "{base-model: "
        "calibration, traffic: calibration, hardware: ship}" },
    { "decision", FIELD_AUTO, ITEM, .what = "decision", .example = "auto" },
    END
};

const struct field team_fields[] = {
    { "required", FIELD_AUTO, ITEM, .what = "required", .example = "auto" },
    { "owners", FIELD_AUTO, ITEM, .what = "owners", .example = "auto" },
    { "answers", FIELD_AUTO, ITEM, .what = "answers", .example = "auto" },
    { "review", FIELD_AUTO, ITEM, .what = "review", .example = "auto" },
    END
};

static const struct field tensor_type[] = {
    { "type", FIELD_CHOICE, .choices = quant_plain_names,
        .what = "tensor type", .example = "Q6_K" },
    END
};

const struct field candidate_fields[] = {
    { "name", FIELD_WORD, NEEDED, .what = "the candidate's name",
        .example = "q4k" },
    { "type", FIELD_CHOICE, NEEDED, .choices = quant_type_names,
        .what = "tensor type", .example = "Q4_K" },
    { "method", FIELD_CHOICE, .choices = quant_methods, .what = "method",
        .example = "imatrix" },
    { "tensors", FIELD_TABLE, .fields = tensor_type,
        .what = "other types for single kinds of tensors",
        .example = "{token_embd: Q6_K}" },
    { "imatrix", FIELD_PATH, .what = "an importance matrix of llama.cpp, "
        "instead of the calibration's", .example = "imatrix.gguf" },
    { "because", FIELD_TEXT, .what = "why plain rounding will do, or why it "
        "is tried", .example = "8 bits lose nothing measurable" },
    END
};

const struct field waiver_fields[] = {
    { "item", FIELD_TEXT, NEEDED, .what = "the waived item",
        .example = "ship.flag" },
    { "because", FIELD_TEXT, NEEDED, .what = "the reason",
        .example = "there is one user so far" },
    { "until", FIELD_DATE, NEEDED, .what = "the day the waiver ends",
        .example = "2027-06-30" },
    { "signature", FIELD_PATH, .what = "the owner's signature",
        .example = "waivers/ship.flag.sig" },
    END
};

#define SECTION(name, table, words) { name, FIELD_MAP, .fields = table, \
    .what = words, .example = "the answers of this phase" }

const struct field policy_fields[] = {
    { "quern", FIELD_INT, NEEDED, .min = 1, .max = 1,
        .what = "the version of this language", .example = "1" },
    { "name", FIELD_WORD, NEEDED, .what = "the policy's name",
        .example = "my-model" },
    { "profile", FIELD_CHOICE, NEEDED, .choices = profiles,
        .what = "profile", .example = "production" },
    { "title", FIELD_TEXT, .what = "the title of the report",
        .example = "My model, quantized" },
    { "reproducible", FIELD_CHOICE, .choices = true_false,
        .what = "answer to whether every machine must compute the same bits",
        .example = "true", .fallback = "true" },
    { "model", FIELD_MAP, NEEDED, .fields = model_fields,
        .what = "the model", .example = "{source: model, name: my-model}" },
    { "owners", FIELD_MAP, NEEDED, .fields = owners_fields,
        .what = "who signs which phase", .example = "{before: {principal: "
        "modeling@example.org, key: keys/modeling}, ...}" },
    { "record", FIELD_MAP, NEEDED, .fields = record_fields,
        .what = "where records go", .example = "{signers: "
        "keys/allowed_signers, repository: releases.git}" },
    SECTION("before", before_fields, "what is decided beforehand"),
    SECTION("calibration", calibration_fields, "the calibration data"),
    SECTION("convert", convert_fields, "the conversion"),
    SECTION("training", training_fields, "the training run"),
    SECTION("ship", ship_fields, "what is proved before the release"),
    SECTION("after", after_fields, "what is done after the release"),
    SECTION("team", team_fields, "how the team works"),
    { "candidates", FIELD_LIST, NEEDED, .min = 1, .fields = candidate_fields,
        .what = "the ways to quantize",
        .example = "- {name: q4k, type: Q4_K, method: imatrix}" },
    { "waivers", FIELD_LIST, .min = 0, .fields = waiver_fields,
        .what = "what is waived", .example = "- {item: ship.flag, because: "
        "there is one user so far, until: 2027-06-30}" },
    END
};
