/*
 * The course of a training, whatever is trained: images of which the last are held out, epochs with
 * a line on stderr after each, and a last judgement.
 */
#ifndef LENET_COURSE_H
#define LENET_COURSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/fault.h"
#include "idx.h"

typedef struct course {
    idx_set set, test; /* test is empty where something is held out */
    size_t n_images;   /* the first of the set, that are trained on */
    uint32_t held_out; /* all others */
} course;

/* Reads the images of a folder; FAULT_LIMIT where nothing is left to train on. To be closed in
 * either case. */
bool course_open(course *c, const char *folder, uint32_t held_out, fault *f);
void course_close(course *c);

typedef struct course_epoch {
    double loss;
    char note[32]; /* more to say of it, "" or what ends with ", " */
} course_epoch;

/* Trains once through the images. */
typedef bool (*course_epoch_fn)(void *user, uint32_t number, course_epoch *result, fault *f);

/* Epochs from 1 on, each of which changes the weights, and their accuracy on what is held out. */
bool course_run(const course *c, uint32_t n_epochs, const float *weights, course_epoch_fn epoch,
                void *user, fault *f);

/* Accuracy in percent on what is held out, or else on the test images. */
bool course_judge(double *accuracy, const course *c, const float *weights, fault *f);

#endif
