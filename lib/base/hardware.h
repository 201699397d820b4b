/*
 * hardware.h - what this machine is, as far as it shows itself
 *
 * Two groups. The identity must be equal for two machines (or one machine on
 * two days) to count as the same for a benchmark; what is recorded only helps
 * to find the machine again. A field is a value, "absent" (there is no such
 * thing here) or "hidden" (a virtual machine does not show it). Nothing that
 * changes from minute to minute is in either: clock rate, load and temperature
 * are noted by the benchmark itself.
 *
 * Everything comes from /proc, /sys and the C library in a few milliseconds.
 */
#ifndef QUERN_BASE_HARDWARE_H
#define QUERN_BASE_HARDWARE_H

#include <jansson.h>

#include "lib/base/hash.h"

/* New objects; the caller decrefs. */
json_t *hardware_identity(void);
json_t *hardware_recorded(void);
/* SHA-256 of the identity as one line of sorted JSON. */
struct digest hardware_digest(const json_t *identity);

#endif
