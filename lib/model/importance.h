/*
 * importance.h - a model's statistics as an importance matrix of llama.cpp
 */
#ifndef QUERN_MODEL_IMPORTANCE_H
#define QUERN_MODEL_IMPORTANCE_H

#include "lib/base/err.h"
#include "lib/format/imatrix.h"
#include "lib/model/model.h"

enum { IMPORTANCE_CHUNK = 512 }; /* tokens: what llama.cpp counts chunks of */

/*
 * importance_collect - the importance of every matrix of `m` from the
 * statistics that calibrate wrote into `folder`: layer.NNN.safetensors and
 * head.safetensors
 *
 * An entry for each matrix that activations multiply, under its GGUF name; the
 * experts of a matrix are one entry. Routers, which stay float32, have none.
 * `im` is zeroed by the caller, who closes it; its data set and form are his.
 * Errors: a file that is missing or of another model.
 */
int importance_collect(struct imatrix *im, const struct model *m,
    const char *folder, struct err *e);

#endif
