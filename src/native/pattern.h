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

/* 0, or the result of regcomp(3); then `error` has its text. */
int pattern_compile(struct pattern *pattern, const char *expression, int ignore_case);
/* 1 if something in `text` matches, else 0; or -errno.  With `more_follows`, `$` does
   not match at the end of `text`. */
int pattern_matches(struct pattern *pattern, const char *text, int more_follows);
void pattern_free(struct pattern *pattern);

#endif
