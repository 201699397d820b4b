/*
 * answers.h - a policy's answers in words, for policy.json and people
 */
#ifndef QUERN_GEN_ANSWERS_H
#define QUERN_GEN_ANSWERS_H

#include "gen/policy.h"

/* Fills in `words` of every item, and `checked` where nothing is measured. */
void answers_in_words(struct policy *o);

#endif
