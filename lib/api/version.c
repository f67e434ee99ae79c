/*
 * Which library runs.
 */
#include "nq/version.h"

uint32_t nq_version(void)
{
    return NQ_VERSION;
}

const char *nq_version_string(void)
{
    return NQ_VERSION_STRING;
}
