#include "lib/base/hardware.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

#define CPU0 "/sys/devices/system/cpu/cpu0"

/* A pseudo file as text without trailing white space; NULL if unreadable. */
static char *read_text(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

static char *
read_text(const char *fmt, ...)
{
    char buf[65536], path[512];
    va_list ap;
    ssize_t n = -1;
    size_t len = 0;
    int fd, need;

    va_start(ap, fmt);
    need = vsnprintf(path, sizeof path, fmt, ap);
    va_end(ap);
    if (need < 0 || (size_t)need >= sizeof path)
        return NULL;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    while (len < sizeof buf - 1 &&
        ((n = read(fd, buf + len, sizeof buf - 1 - len)) > 0 ||
            (n < 0 && errno == EINTR)))
        len += n > 0 ? (size_t)n : 0;
    close(fd);
    if (n < 0 && len == 0)
        return NULL;
    while (len > 0 && isspace((unsigned char)buf[len - 1]))
        len--;
    return mem_strndup(buf, len);
}

/* Value of the first line `key : value` of /proc text; NULL if none. */
static char *
field(const char *text, const char *key)
{
    size_t n = strlen(key);

    for (const char *p = text; p != NULL && *p != 0;) {
        const char *end = strchr(p, '\n');
        const char *colon = strchr(p, ':');
        const char *k = p + n;

        if (end == NULL)
            end = p + strlen(p);
        while (k < end && (*k == ' ' || *k == '\t'))
            k++;
        if (strncmp(p, key, n) == 0 && colon != NULL && k == colon) {
            for (colon++; colon < end && isspace((unsigned char)*colon);)
                colon++;
            return mem_strndup(colon, (size_t)(end - colon));
        }
        p = *end == 0 ? end : end + 1;
    }
    return NULL;
}

/* Takes `text`: its value, or why there is none. */
static json_t *
value(char *text, bool virtual)
{
    json_t *v = text != NULL && *text != 0 ? json_string(text) : NULL;

    free(text); /* json_string refuses what is not UTF-8 */
    return v != NULL ? v : json_string(virtual ? "hidden" : "absent");
}

static bool
has_word(const char *text, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = text; p != NULL && (p = strstr(p, word)) != NULL;
         p += n)
        if ((p == text || p[-1] == ' ') && (p[n] == ' ' || p[n] == 0))
            return true;
    return false;
}

static int
text_order(const void *pa, const void *pb)
{
    const char *const *a = pa, *const *b = pb;

    return strcmp(*a, *b);
}

/* Digest of a list of words in sorted order: how it is listed means nothing. */
static json_t *
words_digest(const char *text)
{
    char *copy = mem_strdup(text), **word, *rest = copy, *w;
    char hex[DIGEST_HEX];
    struct str all = { 0 };
    struct digest d;
    size_t n = 0;

    word = mem_calloc(strlen(text) / 2 + 2, sizeof *word);
    while ((w = strsep(&rest, " ")) != NULL)
        if (*w != 0)
            word[n++] = w;
    qsort(word, n, sizeof *word, text_order);
    for (size_t i = 0; i < n; i++)
        str_addf(&all, "%s\n", word[i]);
    d = digest_of(str_get(&all), all.len);
    str_release(&all);
    free(word);
    free(copy);
    return json_string(digest_hex(&d, hex));
}

/* Entries of a folder that are PREFIX and a number. */
static size_t
count_numbered(const char *dir, const char *prefix)
{
    DIR *d = opendir(dir);
    size_t n = 0, len = strlen(prefix);

    for (struct dirent *f; d != NULL && (f = readdir(d)) != NULL;)
        n += strncmp(f->d_name, prefix, len) == 0 &&
            isdigit((unsigned char)f->d_name[len]);
    if (d != NULL)
        closedir(d);
    return n;
}

/* CPUs in a list such as "0-3,8". */
static unsigned long
count_list(const char *list)
{
    unsigned long n = 0;

    while (list != NULL && isdigit((unsigned char)*list)) {
        char *end;
        unsigned long from = strtoul(list, &end, 10), to = from;

        if (*end == '-')
            to = strtoul(end + 1, &end, 10);
        n += to >= from ? to - from + 1 : 0;
        list = *end == ',' ? end + 1 : end;
    }
    return n;
}

static json_t *
cpu_identity(const char *info, const char *flags, bool virtual)
{
    static const char *const key[][3] = {
        { "vendor", "vendor_id", "CPU implementer" },
        { "family", "cpu family", "CPU architecture" },
        { "model", "model", "CPU part" },
        { "name", "model name", "CPU variant" },
        { "stepping", "stepping", "CPU revision" },
    };
    struct utsname u;
    char *code;
    json_t *o = json_object();

    for (size_t i = 0; i < countof(key); i++) {
        char *v = field(info, key[i][1]);

        if (v == NULL)
            v = field(info, key[i][2]);
        json_object_set_new(o, key[i][0], value(v, false));
    }
    uname(&u);
    json_object_set_new(o, "architecture", json_string(u.machine));
    json_object_set_new(o, "flags_sha256", words_digest(flags));
    code = field(info, "microcode");
    if (code != NULL && virtual &&
        (strcmp(code, "0x1") == 0 || strcmp(code, "0xffffffff") == 0)) {
        free(code); /* what hypervisors say instead of the real one */
        code = NULL;
    }
    json_object_set_new(o, "microcode", value(code, virtual));
    json_object_set_new(o, "governor",
        value(read_text(CPU0 "/cpufreq/scaling_governor"), virtual));
    return o;
}

static json_t *
topology(const char *info)
{
    char *online = read_text("/sys/devices/system/cpu/online");
    char *threads = read_text(CPU0 "/topology/thread_siblings_list");
    char *cores = field(info, "cpu cores");
    unsigned long cpus = count_list(online), per_core = count_list(threads);
    unsigned long long per_socket = 0;
    json_t *o = json_object();

    if (cpus == 0)
        cpus = (unsigned long)sysconf(_SC_NPROCESSORS_ONLN);
    if (per_core == 0)
        per_core = 1;
    if (cores == NULL || !str_to_u64(cores, 1 << 20, &per_socket) ||
        per_socket == 0)
        per_socket = cpus / per_core;
    json_object_set_new(o, "cpus", json_integer((json_int_t)cpus));
    json_object_set_new(o, "threads_per_core",
        json_integer((json_int_t)per_core));
    json_object_set_new(o, "cores_per_socket",
        json_integer((json_int_t)per_socket));
    json_object_set_new(o, "sockets", json_integer(per_socket == 0
        ? 1
        : (json_int_t)((cpus / per_core + per_socket - 1) / per_socket)));
    json_object_set_new(o, "numa_nodes", json_integer((json_int_t)
        count_numbered("/sys/devices/system/node", "node")));
    free(online);
    free(threads);
    free(cores);
    return o;
}

static json_t *
caches(bool virtual)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < 16; i++) {
        char *level = read_text(CPU0 "/cache/index%u/level", i);
        char *shared = read_text(CPU0 "/cache/index%u/shared_cpu_list", i);

        if (level != NULL)
            json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:I}",
                "level", value(mem_strdup(level), virtual), "type",
                value(read_text(CPU0 "/cache/index%u/type", i), virtual),
                "size",
                value(read_text(CPU0 "/cache/index%u/size", i), virtual),
                "shared_by", (json_int_t)count_list(shared)));
        free(shared);
        if (level == NULL)
            break;
        free(level);
    }
    if (json_array_size(list) > 0)
        return list;
    json_decref(list);
    return json_string(virtual ? "hidden" : "absent");
}

/*
 * Memory in MiB, rounded to 1/32 of the power of two below it: two boots of one
 * machine differ by what the kernel keeps for itself.
 */
static json_t *
memory_mib(void)
{
    char *info = read_text("/proc/meminfo"), *total = field(info, "MemTotal");
    unsigned long long kib = total == NULL ? 0 : strtoull(total, NULL, 10);
    unsigned long long mib = kib >> 10, step = 1;

    while (step * 64 <= mib)
        step *= 2;
    free(info);
    free(total);
    return json_integer((json_int_t)((mib + step / 2) / step * step));
}

/*
 * The tightest limit on the way from this process's control group up to the
 * root: `v2` under the unified hierarchy, `v1` under its controller.
 */
static unsigned long long
cgroup_limit(const char *controller, const char *v2, const char *v1)
{
    char *all = read_text("/proc/self/cgroup"), *rest = all, *line;
    unsigned long long least = 0;

    while ((line = strsep(&rest, "\n")) != NULL) {
        char *names = strchr(line, ':');
        char *path = names == NULL ? NULL : strchr(names + 1, ':');
        bool unified;

        if (path == NULL)
            continue;
        *path++ = 0;
        names++;
        unified = *names == 0;
        if (!unified && strcmp(names, controller) != 0)
            continue;
        for (size_t len = strlen(path);; len--) {
            char *text = unified
                ? read_text("/sys/fs/cgroup%.*s/%s", (int)len, path, v2)
                : read_text("/sys/fs/cgroup/%s%.*s/%s", controller, (int)len,
                      path, v1);
            unsigned long long v = 0;

            if (text != NULL && isdigit((unsigned char)*text))
                v = strtoull(text, NULL, 10);
            free(text);
            if (v > 0 && v < (1ull << 62) && (least == 0 || v < least))
                least = v;
            while (len > 0 && path[len - 1] != '/')
                len--;
            if (len == 0)
                break;
        }
    }
    free(all);
    return least;
}

static json_t *
limits(void)
{
    unsigned long long cpu = cgroup_limit("cpu", "cpu.max",
        "cpu.cfs_quota_us");
    unsigned long long memory = cgroup_limit("memory", "memory.max",
        "memory.limit_in_bytes");
    cpu_set_t set;
    int allowed = 0;

    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        allowed = CPU_COUNT(&set);
    return json_pack("{s:o, s:o, s:i}", "cpu_quota_us",
        cpu == 0 ? json_string("absent") : json_integer((json_int_t)cpu),
        "memory_bytes",
        memory == 0 ? json_string("absent") : json_integer((json_int_t)memory),
        "cpus_allowed", allowed);
}

static json_t *
mitigations(bool virtual)
{
    static const char dir[] = "/sys/devices/system/cpu/vulnerabilities";
    DIR *d = opendir(dir);
    json_t *o = json_object();

    for (struct dirent *f; d != NULL && (f = readdir(d)) != NULL;)
        if (f->d_name[0] != '.')
            json_object_set_new(o, f->d_name,
                value(read_text("%s/%s", dir, f->d_name), virtual));
    if (d != NULL)
        closedir(d);
    return o;
}

/* The word in brackets of "always [madvise] never". */
static char *
chosen(char *text)
{
    char *open = text == NULL ? NULL : strchr(text, '[');
    char *close_ = open == NULL ? NULL : strchr(open, ']');
    char *word = close_ == NULL
        ? NULL
        : mem_strndup(open + 1, (size_t)(close_ - open - 1));

    free(text);
    return word;
}

static json_t *
system_identity(bool virtual)
{
    struct utsname u;
    char *dot;

    uname(&u);
    dot = strchr(u.release, '.'); /* keep major.minor */
    if (dot != NULL)
        dot[1 + strspn(dot + 1, "0123456789")] = 0;
    return json_pack("{s:s, s:s, s:o, s:o}", "kernel", u.release, "libc",
        gnu_get_libc_version(), "huge_pages",
        value(chosen(read_text(
            "/sys/kernel/mm/transparent_hugepage/enabled")), virtual),
        "mitigations", mitigations(virtual));
}

static json_t *
gpus(void)
{
    static const char dir[] = "/proc/driver/nvidia/gpus";
    char *version = read_text("/proc/driver/nvidia/version");
    DIR *d = opendir(dir);
    json_t *list = json_array(), *o;

    for (struct dirent *f; d != NULL && (f = readdir(d)) != NULL;) {
        char *info = f->d_name[0] == '.'
            ? NULL
            : read_text("%s/%s/information", dir, f->d_name);

        if (info != NULL)
            json_array_append_new(list, json_pack("{s:o, s:o}", "name",
                value(field(info, "Model"), false), "video_bios",
                value(field(info, "Video BIOS"), false)));
        free(info);
    }
    if (d != NULL)
        closedir(d);
    if (json_array_size(list) == 0) {
        json_decref(list);
        free(version);
        return json_string("absent");
    }
    o = json_pack("{s:o, s:o}", "devices", list, "driver",
        value(version, false));
    return o;
}

json_t *
hardware_identity(void)
{
    char *info = read_text("/proc/cpuinfo"), *flags = field(info, "flags");
    bool virtual = has_word(flags, "hypervisor");
    json_t *o;

    if (flags == NULL)
        flags = field(info, "Features");
    if (flags == NULL)
        flags = mem_strdup("");
    o = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "cpu",
        cpu_identity(info, flags, virtual), "topology", topology(info),
        "caches", caches(virtual), "memory_mib", memory_mib(), "limits",
        limits(), "system", system_identity(virtual), "gpu", gpus(), "virtual",
        virtual);
    free(info);
    free(flags);
    return o;
}

json_t *
hardware_recorded(void)
{
    static const char dmi[] = "/sys/class/dmi/id";
    char *info = read_text("/proc/cpuinfo"), *flags = field(info, "flags");
    char *id = read_text("/etc/machine-id"), hex[DIGEST_HEX];
    bool virtual = has_word(flags, "hypervisor");
    struct digest d = digest_of(id == NULL ? "" : id,
        id == NULL ? 0 : strlen(id));
    json_t *o = json_pack("{s:o, s:o, s:o, s:o}", "machine_id_sha256",
        id == NULL || *id == 0 ? json_string("absent")
                               : json_string(digest_hex(&d, hex)),
        "vendor", value(read_text("%s/sys_vendor", dmi), virtual), "product",
        value(read_text("%s/product_name", dmi), virtual), "bios",
        value(read_text("%s/bios_version", dmi), virtual));

    free(id);
    free(info);
    free(flags);
    return o;
}

struct digest
hardware_digest(const json_t *identity)
{
    char *text = json_text(identity, true);
    struct digest d = digest_of(text, strlen(text));

    free(text);
    return d;
}
