/*
 * describe - what this bundle holds
 *
 * usage: describe DECISION RELEASE
 * Prints the line of each file that names the winner and the commit. A real
 * product would load the model here.
 */
#include <stdio.h>
#include <string.h>

/* Prints the lines of a file that hold one of the words. */
static int
show(const char *path, const char *word)
{
    FILE *f = fopen(path, "r");
    char line[4096];

    if (f == NULL) {
        perror(path);
        return 1;
    }
    while (fgets(line, sizeof line, f) != NULL)
        if (strstr(line, word) != NULL)
            printf("%s: %s", path, line);
    return fclose(f) != 0;
}

int
main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: describe DECISION RELEASE\n", stderr);
        return 2;
    }
    return show(argv[1], "\"winner\"") || show(argv[2], "\"commit\"");
}
