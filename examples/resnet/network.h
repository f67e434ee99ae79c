/*
 * The residual networks for CIFAR-10 of He et al. (2015), section 4.2, with shortcuts of kind A, as
 * https://github.com/akamaster/pytorch_resnet_cifar10 trains them: ResNet-20, -32, -44, -56 and
 * -110, whichever the file holds.
 */
#ifndef RESNET_NETWORK_H
#define RESNET_NETWORK_H

#include "cifar.h"
#include "conv.h"
#include "weights.h"

typedef struct resnet resnet;

/* NULL on failure. */
resnet *resnet_read(const weights *w, fault *f);
void resnet_free(resnet *net);

/* Convolutions and the fully connected layer together: 32 of ResNet-32. */
size_t resnet_depth(const resnet *net);

/* Floats of memory that resnet_run works in. */
size_t resnet_room(const resnet *net);

/*
 * Outputs (CIFAR_CLASSES for each, image after image) of n_images, at most LANES, of CIFAR_PIXELS
 * bytes each. Networks are not changed: any number of threads may run one, each in room of its own.
 */
void resnet_run(float *outputs, float *room, const resnet *net, const uint8_t *const *images,
                size_t n_images);

#endif
