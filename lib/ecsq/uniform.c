/*
 * The uniform quantizer: see uniform.h. First it is found which cells may be in use, then one pass
 * sums over them, then the used ones become levels.
 */
#include "ecsq/uniform.h"

#include <float.h>

#include "base/bytes.h"
#include "ecsq/occupancy.h"
#include "ecsq/uniform_step.h"
#include "nq/plan.h"

/* Cells of levels that are stored by number: whole numbers that a double holds exactly. */
#define GRID_CELL_MAX (INT64_C(1) << 53)

uint32_t nqi_uniform_passes(double step)
{
    return step > 0 ? 1 : 2;
}

static uint64_t count_elements(const nqi_uniform_job *job)
{
    const nqi_part_list list = nqi_weights_list(job->parts, job->n_parts);
    return nqi_part_list_elems(&list);
}

static nqi_extent whole_extent(const nqi_uniform_job *job)
{
    nqi_extent all = nqi_extent_none();
    for (uint32_t i = 0; i < NQI_N_WEIGHT_TYPES; i++)
        nqi_extent_join(&all, &job->extents[i]);
    return all;
}

static float largest_magnitude(const nqi_uniform_job *job)
{
    const nqi_extent all = whole_extent(job);
    return NQI_MAX(-all.low, all.high);
}

/* ---- Occupancy ----------------------------------------------------------------------------- */

static void add_chunk(void *arg, const nqi_chunk *chunk)
{
    const nqi_uniform_job *job = arg;
    nqi_occupancy *map = *(nqi_occupancy **)chunk->slot;
    float w[NQI_SLICE_ELEMS];
    for (size_t done = 0; done < chunk->n; done += NQI_SLICE_ELEMS) {
        const size_t n = NQI_MIN(chunk->n - done, NQI_SLICE_ELEMS);
        nqi_weights_load(w, &job->parts[chunk->part], chunk->first + done, n);
        nqi_occupancy_add(map, w, n);
    }
}

static nq_status fill_maps(nqi_occupancy **maps, size_t n_maps, const nqi_part_list *list,
                           const nqi_uniform_job *job, nqi_progress_state *progress)
{
    nqi_uniform_job copy = *job;
    const nqi_pass pass = {.env = job->env,
                           .progress = progress,
                           .list = *list,
                           .arg = &copy,
                           .slots = (uint8_t *)maps,
                           .n_slots = n_maps,
                           .slot_bytes = sizeof *maps,
                           .work = add_chunk};
    for (size_t i = 0; i < n_maps; i++)
        NQI_TRY(nqi_occupancy_create(&maps[i], &job->env->allocator, job->max_levels,
                                     largest_magnitude(job)));
    NQI_TRY(nqi_pass_run(&pass));
    for (size_t i = 1; i < n_maps; i++)
        nqi_occupancy_merge(maps[0], maps[i]);
    return NQ_OK;
}

/* The map of all weights: one for each chunk in flight, merged at the end. */
static nq_status find_occupancy(nqi_occupancy **out, const nqi_uniform_job *job,
                                nqi_progress_state *progress)
{
    const nqi_allocator *a = &job->env->allocator;
    const nqi_part_list list = nqi_weights_list(job->parts, job->n_parts);
    const size_t n_maps =
        nqi_pass_slots(job->env, &list, (size_t)nqi_occupancy_bytes(job->max_levels));
    void *memory;
    *out = NULL;
    NQI_TRY(nqi_alloc_zero(&memory, a, n_maps, sizeof(nqi_occupancy *)));
    nqi_occupancy **maps = memory;
    const nq_status status = fill_maps(maps, n_maps, &list, job, progress);
    if (status == NQ_OK) {
        *out = maps[0];
        maps[0] = NULL;
    }
    for (size_t i = 0; i < n_maps; i++)
        nqi_occupancy_destroy(maps[i]);
    nqi_free(a, maps, n_maps, sizeof(nqi_occupancy *));
    return status;
}

/* Runs of weights, and the step that they are right from. */
typedef struct run_list {
    nqi_stretch *runs;
    size_t n;
    size_t capacity;
    double least;
} run_list;

static void free_runs(run_list *list, const nqi_uniform_job *job)
{
    nqi_free(&job->env->allocator, list->runs, list->capacity, sizeof(nqi_stretch));
}

/* The smallest step that keeps cells in the middles countable: 2^(e - 52) for 2^e <= max_abs. */
static double least_grid_step(float max_abs)
{
    const double largest = max_abs > 0 ? (double)max_abs : 1.0;
    const uint64_t exponent = nqi_f64_bits(largest) >> 52;
    return nqi_f64_from_bits((exponent - 52) << 52);
}

static nq_status find_runs(run_list *list, const nqi_uniform_job *job, nqi_progress_state *progress)
{
    nqi_occupancy *map;
    void *memory;
    *list = (run_list){.n = 0};
    NQI_TRY(find_occupancy(&map, job, progress));
    list->capacity = nqi_occupancy_runs(NULL, map);
    const nq_status status =
        nqi_alloc(&memory, &job->env->allocator, list->capacity, sizeof(nqi_stretch));
    if (status == NQ_OK) {
        list->runs = memory;
        list->n = nqi_occupancy_runs(list->runs, map);
        list->least = nqi_occupancy_least_step(map);
    }
    nqi_occupancy_destroy(map);
    return status;
}

/* ---- Cells --------------------------------------------------------------------------------- */

/* The smallest step that leaves at most max_levels levels, or one that does, but is not exact. */
static nq_status find_step(double *step, bool *is_exact, run_list *list, const nqi_uniform_job *job)
{
    double least = list->least;
    if (job->level_rule == NQ_LEVEL_GRID)
        least = NQI_MAX(least, least_grid_step(largest_magnitude(job)));
    return nqi_uniform_find_step(step, is_exact, &job->env->allocator, list->runs, &list->n, least,
                                 job->max_levels, NQI_UNIFORM_STEP_WORK);
}

/* NQ_E_LIMIT with a step that works; or why there is none. */
static nq_status name_step(double *smallest_step, run_list *list, const nqi_uniform_job *job)
{
    bool is_exact;
    NQI_TRY(find_step(smallest_step, &is_exact, list, job));
    if (!is_exact)
        *smallest_step = -*smallest_step;
    return NQ_E_LIMIT;
}

/* A step that does not work: finds one that does. This reads the weights once more. */
static nq_status refuse_step(double *smallest_step, const nqi_uniform_job *job)
{
    nqi_progress_state progress =
        nqi_progress_start(job->env, NQ_STAGE_DESIGN, count_elements(job));
    run_list list;
    if (job->is_trial) {
        *smallest_step = DBL_MAX;
        return NQ_E_LIMIT;
    }
    NQI_TRY(find_runs(&list, job, &progress));
    const nq_status status = name_step(smallest_step, &list, job);
    free_runs(&list, job);
    return status;
}

/* Maps the cells in use with this step, for which the runs are right. */
static nq_status map_used_cells(nqi_cell_map *map, const run_list *list, double step,
                                const nqi_uniform_job *job)
{
    const nqi_allocator *a = &job->env->allocator;
    void *cells;
    const uint64_t n = nqi_uniform_used_cells(NULL, 0, list->runs, list->n, step);
    NQI_TRY(nqi_alloc(&cells, a, n, sizeof(int64_t)));
    nqi_uniform_used_cells(cells, n, list->runs, list->n, step);
    const nq_status status = nqi_cell_map_sparse(map, a, step, cells, (uint32_t)n);
    nqi_free(a, cells, n, sizeof(int64_t));
    return status;
}

/* The cells of the given step, where they are too far apart to take them all. */
static nq_status map_far_cells(nqi_cell_map *map, double *smallest_step, const nqi_uniform_job *job)
{
    run_list list;
    bool works = false;
    if (job->progress)
        job->progress->total += count_elements(job); /* a pass more */
    NQI_TRY(find_runs(&list, job, job->progress));
    if (job->step >= list.least) {
        const uint64_t n = nqi_uniform_used_cells(NULL, 0, list.runs, list.n, job->step);
        works = n <= job->max_levels;
    }
    nq_status status = NQ_E_LIMIT;
    if (works)
        status = map_used_cells(map, &list, job->step, job);
    else if (job->is_trial)
        *smallest_step = DBL_MAX;
    else
        status = name_step(smallest_step, &list, job);
    free_runs(&list, job);
    return status;
}

/* Whether all cells are numbered within what can be counted and stored. */
static bool step_reaches(const nqi_uniform_job *job)
{
    const double largest = (double)largest_magnitude(job);
    return nqi_uniform_reaches(largest, job->step) &&
           (job->level_rule != NQ_LEVEL_GRID ||
            nqi_uniform_cell(largest, job->step) <= GRID_CELL_MAX);
}

/* Finds the step, if it is not given, and the cells that may be in use. */
static nq_status map_cells(nqi_cell_map *map, double *smallest_step, const nqi_uniform_job *job)
{
    const nqi_extent all = whole_extent(job);
    double step = job->step;
    run_list list = {.n = 0};
    *map = (nqi_cell_map){.n_slots = 0};
    if (step > 0 && !step_reaches(job))
        return refuse_step(smallest_step, job);
    if (step == 0) {
        NQI_TRY(find_runs(&list, job, job->progress));
        bool is_exact;
        const nq_status status = find_step(&step, &is_exact, &list, job);
        if (status != NQ_OK) {
            free_runs(&list, job);
            return status;
        }
    }
    nq_status status = NQ_OK;
    const int64_t lowest = nqi_uniform_cell((double)all.low, step);
    const int64_t highest = nqi_uniform_cell((double)all.high, step);
    if (nqi_cell_map_fits(lowest, highest))
        *map = nqi_cell_map_dense(step, lowest, highest, job->env->cpu);
    else if (job->step == 0)
        status = map_used_cells(map, &list, step, job);
    else
        status = map_far_cells(map, smallest_step, job);
    free_runs(&list, job);
    return status;
}

/* ---- Levels -------------------------------------------------------------------------------- */

static uint32_t count_levels(const nqi_cell_sums *sums)
{
    uint32_t n = 0;
    for (uint32_t slot = 0; slot < sums->n_slots; slot++)
        n += sums->counts[slot] != 0;
    return n;
}

static nq_status make_arrays(nqi_uniform *u, uint32_t n_levels)
{
    void *memory;
    u->n_levels = n_levels;
    NQI_TRY(nqi_alloc(&memory, &u->a, n_levels, sizeof *u->cells));
    u->cells = memory;
    NQI_TRY(nqi_alloc(&memory, &u->a, n_levels, sizeof *u->levels));
    u->levels = memory;
    NQI_TRY(nqi_alloc_zero(&memory, &u->a, u->map.n_slots, sizeof *u->level_of_slot));
    u->level_of_slot = memory;
    return NQ_OK;
}

static void number_levels(nqi_uniform *u, const nqi_cell_sums *sums)
{
    uint32_t level = 0;
    for (uint32_t slot = 0; slot < sums->n_slots; slot++) {
        if (sums->counts[slot] == 0)
            continue;
        u->level_of_slot[slot] = (uint16_t)level;
        u->cells[level++] = nqi_cell_map_cell(&u->map, slot);
    }
}

static double value_of(const nqi_sum *sum)
{
    return sum->high + sum->low;
}

/* The mean distance to the middle in one cell; false where its weights have no importance at all.
 */
static bool mean_offset(double *offset, const nqi_cell_sums *sums, uint32_t slot)
{
    *offset = 0;
    if (!sums->moments)
        return true;
    const double weight =
        sums->weights ? value_of(&sums->weights[slot]) : (double)sums->counts[slot];
    if (weight > 0)
        *offset = value_of(&sums->moments[slot]) / weight;
    return weight > 0;
}

/* The nearest f32; the largest one for what would round to infinity. */
static float round_level(bool *is_clamped, double level)
{
    *is_clamped = level >= 0x1.ffffffp127 || level <= -0x1.ffffffp127;
    if (*is_clamped)
        return level > 0 ? 0x1.fffffep127f : -0x1.fffffep127f;
    return (float)level;
}

/* Sets the levels. Those of cells without importance are left to a second look if `plain` is NULL,
 * which false asks for, and taken from it otherwise. */
static bool set_levels(nqi_uniform *u, const nqi_cell_sums *sums, const nqi_cell_sums *plain)
{
    bool is_complete = true;
    for (uint32_t slot = 0; slot < sums->n_slots; slot++) {
        const uint32_t level = u->level_of_slot[slot];
        double offset;
        bool is_clamped;
        if (sums->counts[slot] == 0)
            continue;
        if (!mean_offset(&offset, sums, slot)) {
            is_complete = plain != NULL;
            if (plain)
                (void)mean_offset(&offset, plain, slot);
        }
        const double middle = u->step * (double)u->cells[level];
        u->levels[level] = round_level(&is_clamped, middle + offset);
        u->is_grid = u->is_grid && !is_clamped;
    }
    return is_complete;
}

/* Clamps the level of this weight's cell, if it is in use, to what the weight's type can hold. */
static void clamp_level(nqi_uniform *u, const nqi_cell_sums *sums, float weight, float most)
{
    uint32_t slot;
    if (!nqi_cell_map_find(&slot, &u->map, weight) || sums->counts[slot] == 0)
        return;
    const uint16_t level = u->level_of_slot[slot];
    const float before = u->levels[level];
    u->levels[level] = before > most ? most : before < -most ? -most : before;
    u->is_grid = u->is_grid && u->levels[level] == before;
}

/*
 * A level may lie above all weights of its cell (in its middle, or because the cell holds larger
 * weights of another type), and so be out of range for the type that they are decoded to. Only the
 * cells of a type's outermost weights can have such levels: others lie between those weights.
 * Weights that are pruned, or left out of a sample, may have no cell.
 */
static void clamp_levels(nqi_uniform *u, const nqi_cell_sums *sums, const nqi_uniform_job *job)
{
    const float most[NQI_N_WEIGHT_TYPES] = {
        [NQ_F32] = 0x1.fffffep127f, [NQ_F16] = 65504.0f, [NQ_BF16] = 0x1.fep127f};
    for (uint32_t i = 0; i < NQI_N_WEIGHT_TYPES; i++) {
        const nqi_extent *extent = &job->extents[i];
        if (extent->low > extent->high)
            continue;
        clamp_level(u, sums, extent->low, most[i]);
        clamp_level(u, sums, extent->high, most[i]);
    }
}

/* ---- Design -------------------------------------------------------------------------------- */

static nqi_sums_job sums_job(const nqi_uniform *u, const nqi_uniform_job *job)
{
    nqi_sums_job s = {.env = job->env,
                      .progress = job->progress,
                      .parts = job->parts,
                      .n_parts = job->n_parts,
                      .map = &u->map,
                      .what = NQI_SUMS_PLAIN,
                      .counts = job->counts,
                      .user = job->user};
    if (job->level_rule == NQ_LEVEL_GRID)
        s.what = NQI_SUMS_COUNTS;
    else if (job->level_rule == NQ_LEVEL_WEIGHTED && job->has_importance)
        s.what = NQI_SUMS_WEIGHTED;
    return s;
}

/* Some cells' weights have no importance: their levels are plain means, which takes another pass.
 */
static nq_status set_plain_levels(nqi_uniform *u, const nqi_cell_sums *sums,
                                  const nqi_uniform_job *job)
{
    nqi_sums_job s = sums_job(u, job);
    nqi_cell_sums plain;
    s.what = NQI_SUMS_PLAIN;
    s.progress = NULL;
    s.counts = NULL;
    NQI_TRY(nqi_cell_sums_run(&plain, &s));
    set_levels(u, sums, &plain);
    nqi_cell_sums_free(&plain);
    return NQ_OK;
}

static nq_status make_levels(nqi_uniform *u, double *smallest_step, const nqi_cell_sums *sums,
                             const nqi_uniform_job *job)
{
    const uint32_t n_levels = count_levels(sums);
    if (n_levels > job->max_levels)
        return refuse_step(smallest_step, job);
    NQI_TRY(make_arrays(u, n_levels));
    number_levels(u, sums);
    if (!set_levels(u, sums, NULL))
        NQI_TRY(set_plain_levels(u, sums, job));
    clamp_levels(u, sums, job);
    return NQ_OK;
}

static nq_status design(nqi_uniform *u, double *smallest_step, const nqi_uniform_job *job)
{
    nqi_cell_sums sums;
    NQI_TRY(map_cells(&u->map, smallest_step, job));
    u->step = u->map.step;
    const nqi_sums_job s = sums_job(u, job);
    NQI_TRY(nqi_cell_sums_run(&sums, &s));
    const nq_status status = make_levels(u, smallest_step, &sums, job);
    nqi_cell_sums_free(&sums);
    return status;
}

nq_status nqi_uniform_design(nqi_uniform *u, double *smallest_step, const nqi_uniform_job *job)
{
    *smallest_step = 0;
    *u = (nqi_uniform){.a = job->env->allocator, .is_grid = job->level_rule == NQ_LEVEL_GRID};
    const nq_status status = design(u, smallest_step, job);
    if (status != NQ_OK)
        nqi_uniform_free(u);
    return status;
}

void nqi_uniform_free(nqi_uniform *u)
{
    nqi_free(&u->a, u->cells, u->n_levels, sizeof *u->cells);
    nqi_free(&u->a, u->levels, u->n_levels, sizeof *u->levels);
    nqi_free(&u->a, u->level_of_slot, u->map.n_slots, sizeof *u->level_of_slot);
    nqi_cell_map_free(&u->map);
    *u = (nqi_uniform){.a = u->a};
}

/* ---- Use ----------------------------------------------------------------------------------- */

void nqi_uniform_assign(uint16_t *indices, const nqi_uniform *u, const float *weights, size_t n)
{
    uint32_t slots[NQI_SLICE_ELEMS];
    for (size_t done = 0; done < n; done += NQI_SLICE_ELEMS) {
        const size_t count = NQI_MIN(n - done, NQI_SLICE_ELEMS);
        nqi_cell_map_slots(slots, &u->map, weights + done, count);
        for (size_t i = 0; i < count; i++)
            indices[done + i] = u->level_of_slot[slots[i]];
    }
}
