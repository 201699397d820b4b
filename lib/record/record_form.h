/*
 * record_form.h - what the writer and the reader of records share; private to
 * record.c and record_read.c
 */
#ifndef QUERN_RECORD_RECORD_FORM_H
#define QUERN_RECORD_RECORD_FORM_H

#include "lib/record/record.h"

#define RECORD_SCHEMA "quern.record/1"
#define RECORD_ANSWER "quern.answer."
#define RECORD_NOTE "quern.note."
#define RECORD_TOOL "_tool/quern-"
#define RECORD_STATEMENT "https://in-toto.io/Statement/v1"
#define RECORD_PREDICATE "https://in-toto.io/attestation/link/v0.3"

/* The link file's whole text; `link` is borrowed. Caller frees. */
char *record_link_text(json_t *link, const char *keyid,
    const uint8_t sig[SIGN_BYTES]);
/* The statement's bytes, which the envelope carries. Caller frees. */
char *record_payload(const struct record *r);

#endif
