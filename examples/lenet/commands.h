/*
 * The program's commands: each takes what stands behind its name, and room for a network's weights,
 * and returns the exit status.
 */
#ifndef LENET_COMMANDS_H
#define LENET_COMMANDS_H

int command_train(int argc, char **argv, float *weights);
int command_prune(int argc, char **argv, float *weights);
int command_importance(int argc, char **argv, float *weights);
int command_survivors(int argc, char **argv, float *weights);
int command_tune(int argc, char **argv, float *weights);
int command_eval(int argc, char **argv, float *weights);

#endif
