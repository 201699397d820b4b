/*
 * driver.c - replays a corpus through fuzz_one(), or hands it to libFuzzer
 *
 * usage: NAME [FILE | FOLDER ...]     without operands: tests/data/fuzz/NAME
 * Prints TAP: one result for each operand. An input that the parser cannot
 * survive ends the program, which the runner counts as a failure.
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64]; /* of fuzz_folder; made on the first use */

static void
die(const char *what)
{
    perror(what);
    abort();
}

void
fuzz_require(int condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "fuzz: broken promise: %s\n", what);
    abort();
}

const char *
fuzz_file(const uint8_t *data, size_t size)
{
    static char path[64];
    static int fd = -1;

    if (fd >= 0)
        close(fd);
    fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0)
        die("memfd_create");
    while (size > 0) {
        const ssize_t n = write(fd, data, size);

        if (n <= 0)
            die("write");
        data += n;
        size -= (size_t)n;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return path;
}

/* Removes the files of the folder; there are no folders in it. */
static void
empty_folder(void)
{
    DIR *d = opendir(folder);
    struct dirent *entry;

    if (d == NULL)
        return;
    while ((entry = readdir(d)) != NULL)
        unlinkat(dirfd(d), entry->d_name, 0);
    closedir(d);
}

static void
remove_folder(void)
{
    empty_folder();
    rmdir(folder);
}

static void
write_section(const char *name, const uint8_t *p, size_t n)
{
    char path[160];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "wb");
    if (f == NULL)
        return; /* "." and ".." */
    fwrite(p, 1, n, f);
    fclose(f);
}

/* The name after `=== ` up to the end of the line; returns what follows it. */
static size_t
section_name(char name[64], const uint8_t *p, size_t at, size_t size)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t n = 0;

    for (at += 4; at < size && p[at] != '\n'; at++)
        if (n < 63 && p[at] != 0 && strchr(allowed, p[at]) != NULL)
            name[n++] = (char)p[at];
    name[n] = 0;
    return at < size ? at + 1 : at;
}

/* Where the next section begins; size if there is none. */
static size_t
section_end(const uint8_t *p, size_t at, size_t size)
{
    for (; at < size && size - at >= 5; at++)
        if (memcmp(p + at, "\n=== ", 5) == 0)
            return at;
    return size;
}

const char *
fuzz_folder(const uint8_t *data, size_t size)
{
    size_t at = 0;

    if (folder[0] == 0) {
        const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

        snprintf(folder, sizeof folder, "%s/quern-fuzz-XXXXXX", base);
        if (mkdtemp(folder) == NULL)
            die(folder);
        atexit(remove_folder);
    }
    empty_folder();
    while (at < size && size - at >= 4 && memcmp(data + at, "=== ", 4) == 0) {
        char name[64];
        const size_t start = section_name(name, data, at, size);
        const size_t end = section_end(data, start, size);

        if (name[0] != 0)
            write_section(name, data + start, end - start);
        at = end < size ? end + 1 : size;
    }
    return folder;
}

#ifdef QUERN_FUZZER

int LLVMFuzzerRunDriver(int *argc, char ***argv,
    int (*one)(const uint8_t *data, size_t size));

int
main(int argc, char **argv)
{
    return LLVMFuzzerRunDriver(&argc, &argv, fuzz_one);
}

#else

/* Returns 1, or 0 if the file cannot be read. */
static int
replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *p = NULL;
    size_t n = 0, cap = 0, got;

    if (f == NULL)
        return 0;
    do {
        cap = cap ? 2 * cap : 4096;
        p = realloc(p, cap);
        if (p == NULL)
            die("realloc");
        got = fread(p + n, 1, cap - n, f);
        n += got;
    } while (n == cap);
    fclose(f);

    /* an exact copy, so that a sanitizer sees the first byte too many */
    uint8_t *exact = malloc(n > 0 ? n : 1);

    if (exact == NULL)
        die("malloc");
    memcpy(exact, p, n);
    free(p);
    fuzz_one(exact, n);
    free(exact);
    return 1;
}

/* Number of inputs replayed from a file or a folder, in sorted order. */
static int
replay(const char *path)
{
    struct dirent **list = NULL;
    struct stat st;
    int done = 0, n;

    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return replay_file(path);
    n = scandir(path, &list, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char full[4096];

        snprintf(full, sizeof full, "%s/%s", path, list[i]->d_name);
        if (list[i]->d_name[0] != '.')
            done += replay_file(full);
        free(list[i]);
    }
    free(list);
    return done;
}

int
main(int argc, char **argv)
{
    const char *name = strrchr(argv[0], '/');
    char dflt[256];
    char *only[] = { argv[0], dflt };
    int bad = 0;

    name = name != NULL ? name + 1 : argv[0];
    snprintf(dflt, sizeof dflt, "tests/data/fuzz/%.200s", name);
    if (argc < 2) {
        argv = only;
        argc = 2;
    }
    printf("1..%d\n", argc - 1);
    for (int i = 1; i < argc; i++) {
        const int n = replay(argv[i]);

        printf("%s %d - %s: survives %d inputs of %s\n", n > 0 ? "ok" :
            "not ok", i, name, n, argv[i]);
        bad |= n == 0;
    }
    return bad;
}

#endif
