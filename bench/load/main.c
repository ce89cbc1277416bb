/*
 * The load of the benches: callers, or the bot that answers them; see load.h and bot.h. Written in C so that it is never what is
 * measured. It dies with the program that started it.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "bot.h"
#include "load.h"
#include "options.h"

static void run_on(int core) {
  if (core < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  if (sched_setaffinity(0, sizeof set, &set) == 0) return;
  perror("sched_setaffinity");
  exit(1);
}

/*
 * Before everything else on its processor. What also runs there (a relay's recorder, the bench) would make it late, and that would be
 * measured as the relay's; a processor of its own would do, too. Who may not have that comes a little before others, if it may.
 */
static void run_first(void) {
  const struct sched_param lowest = {.sched_priority = 1};
  if (sched_setscheduler(0, SCHED_FIFO, &lowest) == 0) return;
  perror("the load may be late itself: sched_setscheduler");
  setpriority(PRIO_PROCESS, 0, -10);
}

/* As many descriptors as may be had. */
static void raise_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int count, char **words) {
  struct options options = options_read(count, words);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  /* Otherwise the system may wake it 50 us late, to save power. */
  prctl(PR_SET_TIMERSLACK, 1);
  run_on(options.core);
  if (options.is_first) run_first();
  raise_limit();
  if (options.is_bot) bot_run(&options);
  return load_run(&options);
}
