#ifndef REELAY_LOAD_BOT_H
#define REELAY_LOAD_BOT_H

#include "options.h"

/* The bot of all calls: says where it listens, as a line of JSON, and answers until it is killed. */
_Noreturn void bot_run(const struct options *options);

#endif
