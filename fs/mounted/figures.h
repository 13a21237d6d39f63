/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * figures.h - what a store says about itself, as JSON and for Prometheus.
 */
#ifndef FS_MOUNTED_FIGURES_H
#define FS_MOUNTED_FIGURES_H

#include <stdbool.h>
#include <stdio.h>

#include "fs/volume/volume.h"

/* The fields of struct dw_stats and struct volume_figures as a JSON object, in one line or in
 * several; the caller frees it.  NULL: no memory. */
char *figures_json(struct volume *volume, bool one_line);

/* The same as metrics; errors of writing stay in `out`. */
void figures_print(struct volume *volume, FILE *out);

#endif
