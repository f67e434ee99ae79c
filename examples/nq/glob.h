/*
 * Globs over tensor names. `*` is any run of characters, "." and "/" included; `?` is one
 * character; [abc], [a-z], [!a-z] one of some; a backslash takes the meaning from what follows. The
 * whole name must match. Characters are those of UTF-8; a byte that is none stands for itself.
 */
#ifndef CLI_GLOB_H
#define CLI_GLOB_H

#include <stdbool.h>
#include <stddef.h>

bool glob_match(const char *glob, size_t glob_bytes, const char *name, size_t name_bytes);

#endif
