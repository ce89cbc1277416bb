#ifndef REELAY_LOAD_LOAD_H
#define REELAY_LOAD_LOAD_H

#include "options.h"

/*
 * All callers: sets them up, speaks for a while and tells what became of every frame, in lines of JSON:
 *
 *   {"event":"up","calls":…,"ms":…}     all calls are up, or as many as could be had in time
 *   {"event":"begin"} {"event":"end"}   the window; its times are those of these lines
 *   {"event":"report",…}
 *
 * Returns the exit code.
 */
int load_run(const struct options *options);

#endif
