/*
 * path.c - names of files; see file.h
 */
#include "lib/base/file.h"

#include <string.h>
#include <sys/stat.h>

#include "lib/base/mem.h"

bool
path_is_plain(const char *name)
{
    const char *part = name;

    if (*name == '\0' || *name == '/')
        return false;
    for (const char *s = name;; s++) {
        bool letter = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
            (*s >= '0' && *s <= '9') || *s == '.' || *s == '_' || *s == '-';

        if (*s == '/' || *s == '\0') {
            if (s == part || (s - part == 2 && memcmp(part, "..", 2) == 0))
                return false; /* an empty part, or a way out */
            if (*s == '\0')
                return true;
            part = s + 1;
        } else if (!letter) {
            return false;
        }
    }
}

char *
path_join(const char *dir, const char *name)
{
    size_t n = strlen(dir);

    if (n == 0 || strcmp(dir, ".") == 0)
        return mem_strdup(name);
    if (dir[n - 1] == '/')
        return mem_printf("%s%s", dir, name);
    return mem_printf("%s/%s", dir, name);
}

char *
path_dir(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return mem_strdup(".");
    if (slash == path)
        return mem_strdup("/");
    return mem_strndup(path, (size_t)(slash - path));
}

const char *
path_base(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

char *
path_folder(const char *path)
{
    size_t n = strlen(path);
    struct stat st;
    bool file = n > 5 && strcmp(path + n - 5, ".gguf") == 0;

    if (stat(path, &st) == 0)
        file = !S_ISDIR(st.st_mode);
    return file ? path_dir(path) : mem_strdup(path);
}
