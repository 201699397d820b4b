/*
 * quern-init - put a policy, keys and allowed_signers into a folder
 *
 * usage: quern init [-p PROFILE] [-K] [DIR]
 * Copies the ready policy of the profile, makes a key for each of the two
 * owners it names, and enters them in keys/allowed_signers. Nothing that is
 * there already is overwritten.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/option.h"

enum { POLICY_LIMIT = 1 << 20 };

static const char usage[] =
    "usage: quern init [-p PROFILE] [-K] [DIR]\n"
    "\n"
    "  -p PROFILE  production (default), internal or qat\n"
    "  -K          make no keys: keys/allowed_signers is left to you\n"
    "  DIR         the folder (default: the current one)\n";

/* The owners that the ready policies name, and their key files. */
static const struct {
    const char *principal, *file;
} owners[] = {
    { "modeling@example.org", "modeling" },
    { "platform@example.org", "platform" },
};

/* Where the ready policies and quern-keygen lie, seen from this program. */
static char *
own_folder(void)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

    if (n < 0)
        return mem_strdup(".");
    path[n] = 0;
    return path_dir(path);
}

/* The ready policy's path: installed, or in the source tree. */
static char *
find_policy(const char *profile)
{
    static const char *const places[] = { "../share/quern/policies",
        "../../policies" };
    char *own = own_folder();
    char *path = NULL;

    for (size_t i = 0; i < countof(places); i++) {
        free(path);
        path = mem_printf("%s/%s/%s.yaml", own, places[i], profile);
        if (file_exists(path))
            break;
    }
    free(own);
    return path;
}

static int
put_policy(const char *dir, const char *profile, struct err *e)
{
    char *from = find_policy(profile);
    char *to = path_join(dir, "policy.yaml");
    struct blob policy = { 0 };

    if (file_exists(to))
        err_set(e, ERR_WORK,
            "%s: is there already; choose another folder or remove it", to);
    else if (!file_exists(from))
        err_set(e, ERR_USAGE,
            "no profile '%s'; write production, internal or qat", profile);
    else if (blob_read(&policy, from, POLICY_LIMIT, e) == 0 &&
        file_mkdirs(dir, e) == 0 &&
        file_write(to, policy.p, policy.len, e) == 0)
        printf("%s: the %s checklist; answer it\n", to, profile);
    blob_release(&policy);
    free(from);
    free(to);
    return e->code;
}

/* Runs quern-keygen, which knows how to do this one thing. */
static int
make_key(const char *dir, const char *principal, const char *file,
    struct err *e)
{
    char *own = own_folder();
    char *program = path_join(own, "quern-keygen");
    char *key = mem_printf("%s/keys/%s", dir, file);
    char *signers = mem_printf("%s/keys/allowed_signers", dir);
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        execl(program, "quern-keygen", "-s", signers, key, principal,
            (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
        err_set(e, ERR_WORK, "%s: no key was made; see above", key);
    else
        printf("%s: a key for %s; replace it by the owner's own\n", key,
            principal);
    free(own);
    free(program);
    free(key);
    free(signers);
    return e->code;
}

int
main(int argc, char **argv)
{
    struct option_scan o = { .prog = "quern-init", .usage = usage,
        .known = ":hp:K" };
    const char *profile = "production", *dir = ".";
    bool keys = true;
    struct err e = { 0 };
    int c;

    while ((c = option_next(&o, argc, argv)) != -1) {
        if (c == 'p' && !strchr(optarg, '/')) {
            profile = optarg;
        } else if (c == 'K') {
            keys = false;
        } else {
            return option_wrong(&o, "'-%c %s': no profile's name", c, optarg);
        }
    }
    if (o.stop)
        return o.status;
    if (argc - optind > 1)
        return option_wrong(&o, "'%s': one folder at a time",
            argv[optind + 1]);
    if (optind < argc)
        dir = argv[optind];
    if (dir[0] == '\0')
        return option_wrong(&o, "'': is no folder");
    file_catch_signals();
    put_policy(dir, profile, &e);
    fflush(stdout);
    for (size_t i = 0; keys && i < countof(owners) && !e.code; i++)
        make_key(dir, owners[i].principal, owners[i].file, &e);
    return err_exit("quern-init", &e);
}
