/* POSIX extended regular expressions, by the C library.  Named so because <regex.h>
   is the C library's. */
#ifndef INOTIFY_CFFI_PATTERN_H
#define INOTIFY_CFFI_PATTERN_H

#include <regex.h>

/* Zeroed memory is a pattern that was not compiled, and may be freed. */
struct pattern {
    int compiled;
    char error[128]; /* what is wrong with the expression */
    regex_t regex;
};

/* 0, or what regcomp(3) returns; then `error` says what is wrong. */
int pattern_compile(struct pattern *pattern, const char *expression, int ignore_case);
/* 1 when something in `text` matches, else 0; or -errno.  With `more_follows` the
   end of `text` is not what `$` stands for. */
int pattern_matches(struct pattern *pattern, const char *text, int more_follows);
void pattern_free(struct pattern *pattern);

#endif
