/*
 * err.c - see err.h
 */
#include "lib/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
err_set(struct err *e, int code, const char *fmt, ...)
{
    va_list ap;

    if (e->code != ERR_NONE)
        return e->code;
    e->code = code;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    return code;
}

/* What a person can do about an errno. */
static const char *
errno_cure(int number)
{
    static const struct {
        int number;
        const char *cure;
    } cures[] = {
        { ENOENT, "check the name" },
        { ENOTDIR, "check the name" },
        { EISDIR, "name a file, not a folder" },
        { EACCES, "check the permissions" },
        { EPERM, "check the permissions" },
        { EROFS, "name a folder that can be written" },
        { ENOSPC, "free some space and run it again" },
        { EDQUOT, "free some space and run it again" },
        { EFBIG, "raise the file size limit and run it again" },
        { EMFILE, "raise the limit of open files (ulimit -n)" },
        { ENFILE, "close other programs and run it again" },
        { ENAMETOOLONG, "shorten the name" },
        { ELOOP, "check the symbolic links" },
        { ENOMEM, "free some memory and run it again" },
    };

    for (size_t i = 0; i < sizeof cures / sizeof *cures; i++)
        if (cures[i].number == number)
            return cures[i].cure;
    return "check the disk and run it again";
}

int
err_sys(struct err *e, const char *path, const char *what, const char *cure)
{
    int number = errno;

    return err_set(e, ERR_WORK, "%s: %s: %s; %s", path, what,
        strerror(number), cure != NULL ? cure : errno_cure(number));
}

void
err_clear(struct err *e)
{
    e->code = ERR_NONE;
    e->text[0] = '\0';
}

/* A full disk shows at the flush, or has shown in a write before it. */
static void
check_output(struct err *e)
{
    if (fflush(stdout) != 0)
        err_sys(e, "standard output", "cannot write", NULL);
    else if (ferror(stdout))
        err_set(e, ERR_WORK, "standard output: a part could not be written; "
            "free some space and run it again");
}

int
err_exit(const char *prog, const struct err *e)
{
    struct err lost = { 0 };

    if (e->code == ERR_NONE) {
        check_output(&lost);
        e = &lost;
    }
    if (e->code == ERR_NONE)
        return 0;
    fprintf(stderr, "%s: ", prog);
    for (const char *s = e->text; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;

        if (c < 0x20 || c == 0x7f)
            fprintf(stderr, "\\x%02x", c);
        else
            fputc(c, stderr);
    }
    fputc('\n', stderr);
    return e->code;
}
