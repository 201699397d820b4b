/*
 * err.h - one error, filled once by the call that met it, printed once by main
 *
 * A call that can fail takes a `struct err *` last and returns its code: 0 when
 * all is well. The first message wins: err_set on an error that is already set
 * changes nothing, so callers add no noise. Library code never prints.
 *
 * A message is one line, the place first and the cure last, lower case, without
 * a full stop: `policy.yaml:12:9: unknown method 'awk'; write awq or gptq`.
 */
#ifndef QUERN_BASE_ERR_H
#define QUERN_BASE_ERR_H

/* Exit status and error code in one. */
enum err_code {
    ERR_NONE = 0,
    ERR_WORK = 1,      /* the work could not be done: bad input, full disk, no */
    ERR_USAGE = 2,     /* wrong usage of a command */
    ERR_UNCHECKED = 3, /* verify: something could not be checked */
};

struct err {
    int code;        /* enum err_code; ERR_NONE: nothing happened */
    char text[2048]; /* one line, no newline, cut if longer */
};

/*
 * err_set - report; returns `code` (which must not be ERR_NONE)
 * Does nothing but return the earlier code when `e` is already set.
 */
int err_set(struct err *e, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * err_sys - report a failed system call on a file, from errno
 * `err_sys(e, path, "cannot open", "run 'ninja' first")` gives
 * `PATH: cannot open: No such file or directory; run 'ninja' first`.
 * `cure` may be NULL: a cure that fits errno is written then. Returns ERR_WORK.
 */
int err_sys(struct err *e, const char *path, const char *what,
    const char *cure);

/* err_clear - make `e` usable again after the caller dealt with the error */
void err_clear(struct err *e);

/*
 * err_exit - print `PROG: TEXT` on stderr if set, control bytes escaped, and
 * return the exit status. The only function of lib that prints an error.
 * All is well only if standard output took everything, too: what was written
 * there and could not be kept is an error of its own, ERR_WORK.
 */
int err_exit(const char *prog, const struct err *e);

#endif
