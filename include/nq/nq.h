/*
 * All of libnq. Each header may also be included alone.
 */
#ifndef NQ_NQ_H
#define NQ_NQ_H

#include "cluster.h"
#include "codebook.h"
#include "codec.h"
#include "container.h"
#include "context.h"
#include "decode.h"
#include "distortion.h"
#include "ecsq.h"
#include "export.h"
#include "importance.h"
#include "plan.h"
#include "stats.h"
#include "status.h"
#include "types.h"
#include "version.h"

#endif
