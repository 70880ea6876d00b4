#define _GNU_SOURCE /* uselocale(3), in every standard of the compiler */

/* regcomp(3) and regexec(3) in the C locale, in any locale of the process.
   inotifywait never calls setlocale(3), so its patterns match bytes; and in a UTF-8
   locale glibc's `.` would match no byte of a name that is not UTF-8.  uselocale(3)
   concerns the calling thread alone. */

#include "pattern.h"

#include <errno.h>
#include <locale.h>

/* This allocates nothing: both glibc and musl return an existing object for "C". */
static locale_t pattern_enter_c_locale(void)
{
    return uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));
}

int pattern_compile(struct pattern *pattern, const char *expression, int ignore_case)
{
    int flags = REG_EXTENDED | REG_NOSUB | (ignore_case ? REG_ICASE : 0);
    locale_t before = pattern_enter_c_locale();
    int error = regcomp(&pattern->regex, expression, flags);
    if (error)
        regerror(error, &pattern->regex, pattern->error, sizeof pattern->error);
    pattern->compiled = !error;
    uselocale(before);
    return error;
}

int pattern_matches(struct pattern *pattern, const char *text, int more_follows)
{
    if (!pattern->compiled)
        return -EINVAL;
    locale_t before = pattern_enter_c_locale();
    int result = regexec(&pattern->regex, text, 0, NULL, more_follows ? REG_NOTEOL : 0);
    uselocale(before);
    if (result == 0 || result == REG_NOMATCH)
        return result == 0;
    return -ENOMEM; /* REG_ESPACE: POSIX has no other */
}

void pattern_free(struct pattern *pattern)
{
    if (pattern->compiled)
        regfree(&pattern->regex);
    pattern->compiled = 0;
}
