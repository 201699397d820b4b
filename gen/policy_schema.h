/*
 * policy_schema.h - the language of policies, as data
 *
 * policy_fields is the top of it; each table below is one mapping. The items of
 * the checklist stand in items.h.
 */
#ifndef QUERN_GEN_POLICY_SCHEMA_H
#define QUERN_GEN_POLICY_SCHEMA_H

#include "gen/schema.h"

extern const struct field policy_fields[];
extern const struct field model_fields[], owner_fields[], record_fields[];
extern const struct field before_fields[], calibration_fields[];
extern const struct field convert_fields[], training_fields[];
extern const struct field ship_fields[], after_fields[], team_fields[];
extern const struct field budget_fields[], perplexity_fields[], kl_fields[];
extern const struct field bottleneck_fields[], target_fields[];
extern const struct field precision_fields[], format_fields[];
extern const struct field samples_fields[], in_domain_fields[];
extern const struct field no_duplicates_fields[], method_fields[];
extern const struct field suite_fields[], benchmark_fields[];
extern const struct field archive_fields[], triggers_fields[];
extern const struct field candidate_fields[], waiver_fields[];

#endif
