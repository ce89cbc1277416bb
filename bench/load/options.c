#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void refuse(const char *word) {
  fprintf(stderr, "not understood: %s\n", word);
  exit(2);
}

static int number_in(const char *word, const char *value) {
  char *end;
  long number = strtol(value, &end, 10);
  if (*value == '\0' || *end != '\0' || number < -100 || number > 100000000) refuse(word);
  return (int)number;
}

static enum dialect dialect_in(const char *word, const char *value) {
  if (strcmp(value, "twilio") == 0) return dialect_twilio;
  if (strcmp(value, "jambonz") == 0) return dialect_jambonz;
  if (strcmp(value, "record") == 0) return dialect_record;
  refuse(word);
}

static bool set_number(struct options *options, const char *name, int number) {
  const struct {
    const char *name;
    int *place;
  } places[] = {
      {"core", &options->core},          {"port", &options->port},
      {"calls", &options->calls},        {"together", &options->together},
      {"sources", &options->sources},    {"connect", &options->connect_ms},
      {"settle", &options->settle_ms},   {"window", &options->window_ms},
      {"drain", &options->drain_ms},     {"rate", &options->rate},
  };
  for (size_t at = 0; at < sizeof places / sizeof *places; at++) {
    if (strcmp(places[at].name, name) != 0) continue;
    *places[at].place = number;
    return true;
  }
  return false;
}

struct options options_read(int count, char **words) {
  struct options options = {
      .core = -1,
      .path = "/twilio",
      .calls = 1,
      .together = 32,
      .connect_ms = 30000,
      .settle_ms = 1000,
      .window_ms = 1000,
      .drain_ms = 2000,
  };
  if (count < 2) refuse("nothing");
  options.is_bot = strcmp(words[1], "bot") == 0;
  if (!options.is_bot && strcmp(words[1], "caller") != 0) refuse(words[1]);
  for (int at = 2; at < count; at++) {
    char *value = strchr(words[at], '=');
    if (value == NULL) refuse(words[at]);
    char name[32];
    snprintf(name, sizeof name, "%.*s", (int)(value - words[at]), words[at]);
    value++;
    if (strcmp(name, "path") == 0) options.path = value;
    else if (strcmp(name, "dialect") == 0) options.dialect = dialect_in(words[at], value);
    else if (strcmp(name, "idle") == 0) options.is_idle = number_in(words[at], value) != 0;
    else if (strcmp(name, "first") == 0) options.is_first = number_in(words[at], value) != 0;
    else if (!set_number(&options, name, number_in(words[at], value))) refuse(words[at]);
  }
  if (options.calls < 1) refuse("calls");
  return options;
}
