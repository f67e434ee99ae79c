#include "course.h"

#include <stdio.h>
#include <time.h>

#include "args.h"

bool course_open(course *c, const char *folder, uint32_t held_out, fault *f)
{
    *c = (course){.held_out = held_out};
    if (!idx_read(&c->set, folder, "train", f))
        return false;
    if (held_out >= c->set.count)
        return fault_set(f, FAULT_LIMIT, "--hold-out %u leaves nothing to train on", held_out);
    c->n_images = c->set.count - held_out;
    return held_out > 0 || idx_read(&c->test, folder, "t10k", f);
}

void course_close(course *c)
{
    idx_free(&c->set);
    idx_free(&c->test);
}

bool course_judge(double *accuracy, const course *c, const float *weights, fault *f)
{
    size_t n_right;
    const idx_set *judge = c->held_out ? &c->set : &c->test;
    const size_t first = c->held_out ? c->n_images : 0;
    const size_t count = judge->count - first;
    if (!measure(&n_right, weights, judge, first, count, f))
        return false;
    *accuracy = percent(n_right, count);
    return true;
}

bool course_run(const course *c, uint32_t n_epochs, const float *weights, course_epoch_fn epoch,
                void *user, fault *f)
{
    const clock_t start = clock();
    for (uint32_t number = 1; number <= n_epochs; number++) {
        course_epoch result = {0};
        double accuracy = 0;
        if (!epoch(user, number, &result, f) ||
            (c->held_out && !course_judge(&accuracy, c, weights, f)))
            return false;
        fprintf(stderr, "epoch %u of %u: %sloss %.5f, ", number, n_epochs, result.note,
                result.loss);
        if (c->held_out)
            fprintf(stderr, "%.2f %% of the held out, ", accuracy);
        fprintf(stderr, "%.0f s\n", (double)(clock() - start) / CLOCKS_PER_SEC);
    }
    return true;
}
