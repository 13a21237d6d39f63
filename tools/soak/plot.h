/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * plot.h - soak.csv as a picture.
 */
#ifndef TOOLS_SOAK_PLOT_H
#define TOOLS_SOAK_PLOT_H

#include "tools/soak/config.h"

/* Draw the CSV of the last run into the SVG file `path`, which is as it was on failure.
 * 0, or SOAK_SETUP after a message. */
int plot_draw(const struct config *config, const char *path);

#endif
